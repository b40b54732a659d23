import { rankOf } from '../../../workflows/engine/recovery-choice.ts';

/** Whether a name is in the share that the seed draws: the same each time for the same seed, others for another. */
export function isDrawn(percent: number, seed: string, name: string): boolean {
  return percent >= 100 || rankOf(seed, name) * 100 < percent;
}

/** The few of many that the seed ranks lowest, whatever their order. */
export class Draw<Item> {
  readonly #size: number;
  readonly #seed: string;
  #kept: { rank: number; item: Item }[] = [];

  constructor(size: number, seed: string) {
    this.#size = size;
    this.#seed = seed;
  }

  offer(name: string, item: Item): void {
    this.#kept.push({ rank: rankOf(this.#seed, name), item });
    if (this.#kept.length >= 2 * this.#size) this.#cut();
  }

  get items(): Item[] {
    this.#cut();
    return this.#kept.map(({ item }) => item);
  }

  #cut(): void {
    this.#kept = this.#kept.toSorted((a, b) => a.rank - b.rank).slice(0, this.#size);
  }
}
