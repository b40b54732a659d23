import { type createHash, type Hash } from 'node:crypto';
import { type Checksums } from '../../objects/types.ts';
import { type Watcher } from './read-hashed.ts';

export type DigestKind = 'sha256' | 'sha1' | 'md5';

/** A digest over parts that come one after the other, some of them more than once. */
export interface RunningDigest {
  /** Begins a part anew: what an earlier try of it brought is forgotten. */
  part(partNumber: number): Watcher;
  digest(): Checksums;
}

export function createRunningDigest(kind: DigestKind, make: typeof createHash): RunningDigest {
  let before: Hash = make(kind);
  let now: Hash = before.copy();
  let open = 0;
  return {
    part(partNumber) {
      if (partNumber !== open) before = now.copy();
      open = partNumber;
      const mine = before.copy();
      now = mine;
      return { update: (bytes) => void mine.update(bytes) };
    },
    digest: () => ({ [kind]: now.copy().digest('hex') }),
  };
}
