import { close, closeSync, fdatasync } from 'node:fs';

/** Files that wait to be synced are open, of which a process may have a thousand or so. */
const waitingMax = 200;
/** Node has four threads for files: one is left to write. */
const atOnce = 3;

export interface FileSyncsOptions {
  /** Otherwise files are only closed. */
  sync: boolean;
  failed: (err: unknown) => void;
  /** One more is on disk, or has failed. */
  changed: () => void;
}

/** Syncs and closes files that are written, some at once, aside from what goes on being written. */
export class FileSyncs {
  readonly #options: FileSyncsOptions;
  readonly #waiting: number[] = [];
  #underWay = 0;

  constructor(options: FileSyncsOptions) {
    this.#options = options;
  }

  get full(): boolean {
    return this.#waiting.length >= waitingMax;
  }

  get idle(): boolean {
    return this.#underWay === 0 && this.#waiting.length === 0;
  }

  finish(fd: number): void {
    if (this.#options.sync) {
      this.#waiting.push(fd);
      return this.#next();
    }
    try {
      closeSync(fd);
    } catch (err) {
      this.#options.failed(err);
    }
  }

  #next(): void {
    while (this.#underWay < atOnce) {
      const fd = this.#waiting.shift();
      if (fd === undefined) return;
      this.#underWay++;
      fdatasync(fd, (err) => {
        if (err !== null) this.#options.failed(err);
        close(fd, () => undefined);
        this.#underWay--;
        this.#next();
        this.#options.changed();
      });
    }
  }
}
