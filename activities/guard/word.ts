import type { LeaseAnswer } from './protocol.ts';

/** What a granter's answer means to the guard that asked. */
export type Word =
  | { kind: 'granted'; epoch: number; ttlMs: number }
  /** This site is the holder of a newer epoch than it asked for. */
  | { kind: 'named'; epoch: number }
  /** No lease through this epoch exists for this site any more. */
  | { kind: 'over'; throughEpoch: number; why: string }
  /** Nothing that decides: no answer, or a granter that knows less than the guard. */
  | { kind: 'none'; why: string };

/**
 * Weighs one answer. A granter whose epoch is lower than the one asked for, or that knows nobody, has been away and may
 * neither grant nor refuse; its word counts as none, like that of a granter which does not answer.
 */
export function weigh(site: string, askedEpoch: number, answer: LeaseAnswer): Word {
  if (answer.kind === 'granted') {
    if (answer.epoch === askedEpoch) return { kind: 'granted', epoch: answer.epoch, ttlMs: answer.ttlMs };
    return { kind: 'none', why: `granted epoch ${answer.epoch} instead of ${askedEpoch}` };
  }
  const { epoch, holder, why } = answer;
  if (holder === null || epoch < askedEpoch) return { kind: 'none', why: `${why}: it knows epoch ${epoch} only` };
  if (holder !== site) return { kind: 'over', throughEpoch: epoch, why: `${holder} holds epoch ${epoch}` };
  if (epoch > askedEpoch) return { kind: 'named', epoch };
  if (why === 'stopped') return { kind: 'over', throughEpoch: epoch, why: `epoch ${epoch} was stopped` };
  return { kind: 'none', why };
}

/** Of two words to one question the one that decides: the higher epoch, and at the same epoch the refusal. */
export function weightier(a: Word, b: Word): Word {
  const byEpoch = epochOf(b) - epochOf(a);
  if (byEpoch !== 0) return byEpoch > 0 ? b : a;
  return rank[b.kind] > rank[a.kind] ? b : a;
}

const rank = { none: 0, granted: 1, named: 2, over: 3 } as const;

function epochOf(word: Word): number {
  if (word.kind === 'none') return -1;
  return word.kind === 'over' ? word.throughEpoch : word.epoch;
}
