import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findPostgres } from '../../activities/drivers/postgres/binaries.ts';
import { initServer } from '../../activities/drivers/postgres/init.ts';

const run = promisify(execFile);

/** Makes an empty PostgreSQL server in a directory. */
export type MakeServer = (dataDir: string) => Promise<void>;

/**
 * `initdb` costs two seconds of processor time, a copy of what it made a tenth of that. So it runs once per home and
 * version; every server of every world is a copy, with the superuser's password of that first time.
 */
export async function serverMaker(
  home: string,
  superuser: string,
  newPassword: () => string,
): Promise<{ password: string; makeServer: MakeServer }> {
  const { version } = await findPostgres();
  const template = join(home, 'cache', `postgres-${version}`);
  const passwordFile = `${template}.password`;
  if (!existsSync(template) || !existsSync(passwordFile)) {
    await rm(template, { recursive: true, force: true });
    await mkdir(dirname(template), { recursive: true });
    await writeFile(passwordFile, newPassword(), { mode: 0o600 });
  }
  const password = await readFile(passwordFile, 'utf8');
  let made: Promise<void> | null = existsSync(template) ? Promise.resolve() : null;
  const makeServer: MakeServer = async (dataDir) => {
    if (made !== null) {
      await made;
      return copy(template, dataDir);
    }
    made = initServer({ dataDir, superuser, password }).then(() => keep(dataDir, template));
    return made;
  };
  return { password, makeServer };
}

async function keep(dataDir: string, template: string): Promise<void> {
  const partial = `${template}.${process.pid}`;
  await copy(dataDir, partial);
  await rename(partial, template);
}

/** With owners and modes; Node's own copy keeps neither. */
async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await run('cp', ['-a', from, to]);
}
