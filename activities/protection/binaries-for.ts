import { existsSync } from 'node:fs';
import path from 'node:path';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Protected } from '../../workflows/engine/protection.ts';
import { findPostgres } from '../drivers/postgres/binaries.ts';
import { resolveReference } from '../references.ts';

/**
 * The programs of the wanted major version: those that the estate names for the site, which then have to be of it, else
 * the bundled ones (an empty answer), else where Debian has them.
 * @throws MusterError RESTORE_FAILED naming the version that is missing
 */
export async function binariesFor(
  { resource, site }: Pick<Protected, 'resource' | 'site'>,
  major: number,
): Promise<{ binDir?: string }> {
  const configured = resource.sites[site]?.['binDir'];
  if (typeof configured === 'string') {
    const binDir = resolveReference(configured);
    const found = await findPostgres(binDir);
    if (found.major === major) return { binDir };
    throw wrongVersion(major, `${site} has ${found.major} in ${binDir}`);
  }
  const bundled = await findPostgres();
  if (bundled.major === major) return {};
  const debian = `/usr/lib/postgresql/${major}/bin`;
  if (existsSync(path.join(debian, 'postgres'))) return { binDir: debian };
  throw wrongVersion(major, `here is ${bundled.major}, and none in ${debian}`);
}

function wrongVersion(major: number, what: string): MusterError {
  return new MusterError('RESTORE_FAILED', `the base backup is of PostgreSQL ${major}; ${what}`);
}
