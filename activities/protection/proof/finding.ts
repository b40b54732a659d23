import type { ProofFinding } from '../../../workflows/engine/protection.ts';

/** Who makes findings says what was looked at; the verdict is in the name of the function. */
type About = Pick<ProofFinding, 'check' | 'subject' | 'detail'>;

const longest = 2_000;

export const passed = (about: About): ProofFinding => made(about, 'passed');
export const failed = (about: About): ProofFinding => made(about, 'failed');
/** It could not be looked at, which never passes. */
export const unknown = (about: About): ProofFinding => made(about, 'unknown');

/** Passed or failed. */
export const judged = (isRight: boolean, about: About): ProofFinding => made(about, isRight ? 'passed' : 'failed');

function made({ check, subject, detail }: About, verdict: ProofFinding['verdict']): ProofFinding {
  return { check, subject, verdict, detail: detail.length > longest ? `${detail.slice(0, longest)}…` : detail };
}

const namedAtMost = 5;

/** The first few by name, and how many more. */
export function named(all: readonly string[]): string {
  const more = all.length > namedAtMost ? `; and ${all.length - namedAtMost} more` : '';
  return all.slice(0, namedAtMost).join('; ') + more;
}

/** A list of faults as it grows: the first are kept by name, all are counted. */
export class Faults {
  readonly #named: string[] = [];
  count = 0;

  add(fault: string): void {
    this.count += 1;
    if (this.#named.length < namedAtMost) this.#named.push(fault);
  }

  toString(): string {
    const more = this.count > namedAtMost ? `; and ${this.count - namedAtMost} more` : '';
    return this.#named.join('; ') + more;
  }
}
