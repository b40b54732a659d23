import type { SideStore } from '../repository/store.ts';

/** Until when each file of a repository was locked, as far as this was done by us; the store's own word counts more. */
const objectName = 'locks/deadlines.json';

/** Unix milliseconds by path in the repository. What cannot be read was never remembered. */
export async function readDeadlines(side: SideStore): Promise<Map<string, number>> {
  const bytes = await side.get(objectName);
  const deadlines = new Map<string, number>();
  if (bytes === null) return deadlines;
  try {
    // Most files share their deadline with many: it stands before its files.
    const byEnd = JSON.parse(Buffer.from(bytes).toString()) as Record<string, string[]>;
    for (const [end, paths] of Object.entries(byEnd)) for (const path of paths) deadlines.set(path, Number(end));
    return deadlines;
  } catch {
    return new Map();
  }
}

/** @param needed files that are not among them are forgotten */
export async function writeDeadlines(
  side: SideStore,
  deadlines: ReadonlyMap<string, number>,
  needed: ReadonlySet<string>,
): Promise<void> {
  const byEnd: Record<string, string[]> = {};
  for (const [path, end] of deadlines) if (needed.has(path)) (byEnd[end] ??= []).push(path);
  await side.put(objectName, Buffer.from(JSON.stringify(byEnd)));
}
