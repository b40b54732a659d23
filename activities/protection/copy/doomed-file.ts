import { createReadStream, createWriteStream, existsSync, renameSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { isInside, type KeyRange } from '../../mover/compare/ranges.ts';
import type { Doomed } from '../../mover/run/doomed.ts';

/**
 * Takes out of the mover's list of what is too much at the target (`doomed.jsonl` of its work directory) what the ranges
 * that are gone on with will bring once more, and a last line that a kill has cut off.
 * @returns how many are left
 */
export async function trimDoomed(directory: string, ranges: readonly KeyRange[]): Promise<number> {
  const file = path.join(directory, 'doomed.jsonl');
  if (!existsSync(file)) return 0;
  const kept = createWriteStream(`${file}.new`);
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    const one = parse(line);
    if (one === undefined || ranges.some((range) => isInside(range, one.key))) continue;
    count += 1;
    if (!kept.write(`${line}\n`)) await new Promise<void>((resolve) => kept.once('drain', () => resolve()));
  }
  kept.end();
  await finished(kept);
  renameSync(`${file}.new`, file);
  return count;
}

function parse(line: string): Doomed | undefined {
  try {
    return JSON.parse(line) as Doomed;
  } catch {
    return undefined;
  }
}
