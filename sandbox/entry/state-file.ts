import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { entryModes, type RouteState } from './route-state.ts';

const schema = z.object({
  epoch: z.int(),
  mode: z.enum(entryModes),
  route: z.string().nullable(),
  routeEpoch: z.int(),
  routedAtMs: z.number().nullable(),
  tokens: z.array(z.string()),
});

/** @returns null when there is no file; a damaged one throws, for an entry that guesses its route is worse than none */
export async function readState(file: string): Promise<RouteState | null> {
  let text;
  try {
    text = await readFile(file, 'utf8');
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw err;
  }
  return schema.parse(JSON.parse(text));
}

/** Durable when it resolves: the old state or the new one survives a crash, never half of one. */
export async function writeState(file: string, state: RouteState): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const fresh = `${file}.new`;
  const handle = await open(fresh, 'w');
  try {
    await handle.writeFile(JSON.stringify(state));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
}
