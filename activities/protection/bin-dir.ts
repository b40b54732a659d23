import { access } from 'node:fs/promises';
import path from 'node:path';
import type { PlanResource } from '../../workflows/engine/plan.ts';
import { resolveReference } from '../references.ts';

/**
 * PostgreSQL's programs for a restored copy of a database: those of its site where this machine has them in the same
 * place, else the bundled ones (an empty answer).
 */
export async function binDirHere(resource: PlanResource, site: string): Promise<{ binDir?: string }> {
  const named = resource.sites[site]?.['binDir'];
  if (typeof named !== 'string') return {};
  const binDir = resolveReference(named);
  try {
    await access(path.join(binDir, 'postgres'));
    return { binDir };
  } catch {
    return {};
  }
}
