import { printable } from '../format.ts';

/** A few times a second: more would only flicker, and cost. */
const redrawMs = 250;
/** For programs that read along. */
const statusEveryMs = 1_000;

export interface ScreenOptions {
  json: boolean;
  quiet: boolean;
}

/** What is known of work under way. */
export interface Status {
  /** For people: short, without line ends. */
  line: string;
  /** For programs, in restic's names. */
  fields: Record<string, unknown>;
}

/**
 * Where a command speaks. Results go to stdout, as text or as JSON with one value a line; notes and warnings for people
 * go to stderr. Progress is one line of the terminal that is written over and gone at the end, or a JSON line a second.
 */
export class Screen {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Whether anybody sees progress. */
  readonly showsProgress: boolean;
  readonly #live: boolean;
  #drawn = false;
  #ended = false;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor({ json, quiet }: ScreenOptions) {
    this.json = json;
    this.quiet = quiet;
    this.#live = process.stdout.isTTY && !json && !quiet && process.env['TERM'] !== 'dumb';
    this.showsProgress = this.#live || (json && !quiet);
  }

  /** Shows progress, not more often than it can be read. */
  progress(make: () => Status): void {
    const nowMs = performance.now();
    if (!this.showsProgress || this.#ended || nowMs - this.#lastMs < (this.#live ? redrawMs : statusEveryMs)) return;
    this.#lastMs = nowMs;
    const { line, fields } = make();
    if (!this.#live) return this.value({ message_type: 'status', ...fields });
    const columns = process.stdout.columns || 80;
    process.stdout.write(`\r${line.slice(0, columns - 1)}\u001b[K`);
    this.#drawn = true;
  }

  /** No progress any more: it would be of work that is to stop. */
  endProgress(): void {
    this.clear();
    this.#ended = true;
  }

  /** Takes the progress line away. */
  clear(): void {
    if (this.#drawn) process.stdout.write('\r\u001b[K');
    this.#drawn = false;
  }

  /** A result for people. */
  say(text: string): void {
    if (this.json) return;
    this.clear();
    process.stdout.write(`${text}\n`);
  }

  /** What is good to know and no result; `--quiet` leaves it out. */
  remark(text: string): void {
    if (!this.quiet) this.say(text);
  }

  /** Bytes of a result, as they are. */
  write(bytes: Uint8Array | string): void {
    this.clear();
    process.stdout.write(bytes);
  }

  /** A result for programs, on one line. */
  value(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A warning, or what is waited for. With `--json` it is left out: programs get what matters as values. */
  note(text: string): void {
    if (this.json) return;
    this.clear();
    process.stderr.write(`${text}\n`);
  }

  /** Something that went wrong on the way and did not end the command. `item` is a path. */
  problem(item: string, why: string, fields: Record<string, unknown>): void {
    if (this.json) this.value({ message_type: 'error', error: { message: why }, item, ...fields });
    else this.note(item === '' ? why : `${printable(item)}: ${printable(why)}`);
  }
}
