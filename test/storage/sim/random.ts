import { seeded } from '../support/memory-set.ts';

/** Chance from a seed. Each part of a world has its own, so that a change in one does not disturb the others. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Whole numbers from..to, both included. */
  between(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
  bytes(count: number): Uint8Array;
}

export function createRandom(seed: number, part: string): Random {
  const next = seeded(hashOf(`${seed}/${part}`));
  const between = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick: (items) => items[between(0, items.length - 1)]!,
    shuffled(items) {
      const left = [...items];
      return items.map(() => left.splice(between(0, left.length - 1), 1)[0]!);
    },
    bytes(count) {
      const bytes = new Uint8Array(count);
      for (let i = 0; i < count; i++) bytes[i] = next() * 256;
      return bytes;
    },
  };
}

/** FNV-1a of a text, mixed: one number for a name. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}
