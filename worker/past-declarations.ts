import path from 'node:path';
import { z } from 'zod';
import { readDurable, writeDurably } from '../activities/guard/durable-file.ts';

const memory = z.object({ version: z.literal(1), atMs: z.record(z.string(), z.array(z.number())) });
const keptMs = 7 * 24 * 3_600_000;

/** When the watch declared disasters by itself: a restart must not grant it a fresh budget. */
export interface PastDeclarations {
  /** How long ago each was, milliseconds. */
  agesMs(service: string): number[];
  add(service: string): void;
  /** Takes the last one back: nothing came of it. */
  withdraw(service: string): void;
}

export function openPastDeclarations(home: string, now: () => number = Date.now): PastDeclarations {
  const file = path.join(home, 'control', 'declarations.json');
  const atMs = readDurable(file, memory)?.atMs ?? {};
  const save = (service: string, times: number[]): void => {
    atMs[service] = times.filter((time) => now() - time < keptMs);
    writeDurably(file, { version: 1, atMs });
  };
  return {
    agesMs: (service) => (atMs[service] ?? []).map((time) => now() - time),
    add: (service) => save(service, [...(atMs[service] ?? []), now()]),
    withdraw: (service) => save(service, (atMs[service] ?? []).slice(0, -1)),
  };
}
