import type { TestEvent } from 'node:test/reporters';

/** What node:test says at the end of each run, in its own order. */
const names = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo', 'duration_ms'];

/** Adds up the closing lines of several runs of node:test, so that its reporter shows them once. */
export class Totals {
  readonly #sums = new Map<string, number>(names.map((name) => [name, 0]));
  readonly #files = new Map<string, number>();
  #failures = 0;
  /** Files in which nothing ran. node:test lets such a file pass as if it were a test. */
  readonly empty: string[] = [];

  /** Whether the event was a total, and was taken out of the stream. */
  take(event: TestEvent): boolean {
    if (event.type === 'test:fail' && event.data.todo === undefined) this.#failures += 1;
    if (event.type === 'test:pass' && isFile(event.data)) this.empty.push(event.data.name);
    if (event.type === 'test:summary') {
      if (event.data.file !== undefined) this.#files.set(event.data.file, event.data.duration_ms);
      return true;
    }
    if (event.type !== 'test:diagnostic' || event.data.nesting !== 0) return false;
    const [, name, value] = /^(\w+) ([\d.]+)$/.exec(event.data.message) ?? [];
    if (name === undefined || !this.#sums.has(name)) return false;
    this.#sums.set(name, (this.#sums.get(name) ?? 0) + Number(value));
    return true;
  }

  /** At least one test ran, and none failed, was cancelled or broke down outside a test. */
  get passed(): boolean {
    const count = (name: string): number => this.#sums.get(name) ?? 0;
    return count('tests') > this.empty.length && count('fail') + count('cancelled') + this.#failures === 0;
  }

  /** The files that took longest, seconds, longest first. */
  slowest(count: number): { file: string; seconds: number }[] {
    const all = [...this.#files].map(([file, ms]) => ({ file, seconds: ms / 1_000 }));
    return all.toSorted((a, b) => b.seconds - a.seconds).slice(0, count);
  }

  /** What became of the tests, in a line. */
  inShort(): string {
    const counts = ['pass', 'fail', 'cancelled', 'skipped'].map((name) => `${this.#sums.get(name) ?? 0} ${name}`);
    return `${counts.join(', ')}, ${Math.round((this.#sums.get('duration_ms') ?? 0) / 1_000)} s`;
  }

  /** The sums, as node:test itself would close one run. */
  *events(): Generator<TestEvent> {
    for (const [name, sum] of this.#sums) {
      const value = name === 'duration_ms' ? Math.round(sum) : sum;
      yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${value}`, level: 'info' } } as TestEvent;
    }
  }
}

function isFile({ name, nesting, file }: { name: string; nesting: number; file?: string }): boolean {
  return nesting === 0 && name.endsWith('.test.ts') && file?.endsWith(name) === true;
}
