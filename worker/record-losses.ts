import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Run } from '../workflows/engine/run.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LostObject } from './ledger/replication.ts';

const lostSchema = z.object({
  key: z.string(),
  op: z.enum(['put', 'delete', 'tags', 'metadata']),
  writtenAtMs: z.number(),
  sizeBytes: z.number(),
  certainty: z.enum(['lost', 'unproved']),
});

const rowsAtOnce = 1_000;

type Ended = Pick<Run, 'id' | 'steps'> & { plan: Pick<Run['plan'], 'steps' | 'service'> };

/**
 * Remembers every object that a freeze of the run found lost: the run itself carries the first hundred, the list lies in
 * a file beside it. A list that cannot be read, or is not the one that the run speaks of, is a finding. Repeatable.
 */
export async function recordLosses(
  ledger: Pick<Ledger, 'addLostObjects' | 'addFinding'>,
  { id: runId, plan, steps }: Ended,
  atMs: number,
): Promise<void> {
  for (const { id: stepId, resource } of plan.steps) {
    const { lostFile, lostSha256 } = steps[stepId]?.evidence ?? {};
    if (typeof lostFile !== 'string') continue;
    const why = await read(lostFile, lostSha256, (lost) => ledger.addLostObjects({ runId, resource }, lost));
    if (why === null) continue;
    const what = `which objects of ${resource} were lost is not all in the ledger: ${why}`;
    await ledger.addFinding({ service: plan.service, runId, stepId, severity: 'warning', what, atMs });
  }
}

/** @returns why the list is not to be trusted; null when it is. What the ledger throws is thrown. */
async function read(
  file: string,
  sha256: unknown,
  keep: (lost: LostObject[]) => Promise<void>,
): Promise<string | null> {
  const hash = createHash('sha256');
  const stream = createReadStream(file);
  let unreadable: string | null = null;
  stream.on('error', (err) => (unreadable = err.message));
  stream.on('data', (bytes) => hash.update(bytes));
  let rows: LostObject[] = [];
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      const row = lostSchema.safeParse(parsed(line));
      if (!row.success) continue;
      rows.push(row.data);
      if (rows.length < rowsAtOnce) continue;
      await keep(rows);
      rows = [];
    }
  } catch (err) {
    if (unreadable === null) throw err;
  }
  if (unreadable !== null) return unreadable;
  await keep(rows);
  return hash.digest('hex') === sha256 ? null : `${file} is not the list that the run wrote`;
}

/** The first line says what the list is of. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return null;
  }
}
