import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

const identity = { pid: z.int().positive(), startTime: z.string() };
const processRecord = z.object({ name: z.string(), ...identity, kind: z.enum(['program', 'server']) });
const recordsFile = z.object({
  supervisor: z.object(identity).nullable(),
  /** `program`: one of ours. `server`: what our programs talk to, ended after them. */
  processes: z.array(processRecord),
  /** Data directories whose PostgreSQL servers are ours, whoever started them: `postmaster.pid` inside names the pid. */
  servers: z.array(z.object({ name: z.string(), dataDir: z.string() })),
});

export type ProcessRecord = z.infer<typeof processRecord>;
export type Records = z.infer<typeof recordsFile>;

export const noRecords: Records = { supervisor: null, processes: [], servers: [] };

/** What a run recorded. A file that is not there or not ours to read counts as none: nothing is ended on a guess. */
export function readRecords(file: string): Records {
  try {
    return recordsFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return noRecords;
  }
}

/** Replaces the file in one step: a crash leaves the old one or the new one. */
export function writeRecords(file: string, records: Records): void {
  mkdirSync(dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, JSON.stringify(records, null, 2));
  renameSync(fresh, file);
}
