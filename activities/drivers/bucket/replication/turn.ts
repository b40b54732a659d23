import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { MusterError } from '../../../../workflows/engine/errors.ts';

const schema = z.object({
  version: z.literal(1),
  /** Epoch of the service under which `from` writes. */
  epoch: z.int().min(1),
  from: z.string(),
  to: z.string(),
  /** `frozen`: a move has ended it; what was lost is final. */
  state: z.enum(['active', 'frozen']),
  /** Folder of its ledger, beside this file. */
  ledger: z.string().regex(/^[\w.-]+$/),
  frozen: z
    .object({
      /** Of the run that froze it. */
      epoch: z.int(),
      runId: z.string(),
      atMs: z.number(),
      /** Everything that was ever written at `from` is at `to`. */
      complete: z.boolean(),
    })
    .nullable(),
});

/**
 * Which way a resource is replicated now, and from which ledger. The verbs of a run write it, the replication follows
 * it: a file, so that both may live in different processes of one machine.
 */
export type Turn = z.infer<typeof schema>;

const fileOf = (directory: string): string => path.join(directory, 'turn.json');

/** Undefined when nothing was ever replicated from here. @throws MusterError LEDGER_CONFLICT when the file is damaged */
export function readTurn(directory: string): Turn | undefined {
  let text: string;
  try {
    text = readFileSync(fileOf(directory), 'utf8');
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MusterError('LEDGER_CONFLICT', `${fileOf(directory)} cannot be read`, { cause: err });
  }
  const parsed = schema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new MusterError('LEDGER_CONFLICT', `${fileOf(directory)} says no direction: ${z.prettifyError(parsed.error)}`);
}

/** Replaces it as a whole. */
export function writeTurn(directory: string, turn: Turn): void {
  mkdirSync(directory, { recursive: true });
  const file = fileOf(directory);
  writeFileSync(`${file}.new`, `${JSON.stringify(turn, null, 2)}\n`, { flush: true });
  renameSync(`${file}.new`, file);
}

export function newTurn({ epoch, from, to }: Pick<Turn, 'epoch' | 'from' | 'to'>): Turn {
  return { version: 1, epoch, from, to, state: 'active', ledger: `e${epoch}-${from}`, frozen: null };
}

export function sameTurn(a: Turn | undefined, b: Turn | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
