import { watch, type FSWatcher } from 'node:fs';
import { access, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { giveToOwner, makeOwnedDir } from '../../drivers/postgres/owner.ts';
import { codeOf, failedWrite } from '../repository/durable-write.ts';
import { isWalName } from './wal-name.ts';
import type { WalSupply } from './wal-supply.ts';

const lookMs = 50;
/** Segments that lie ready before they are asked for. */
const aheadSegments = 3;

/**
 * Hands WAL to a recovering server through a directory beside it: the server's `restore_command` is a few lines of shell
 * that ask by an empty file in `want/` and wait for the answer, `have/<name>` or `none/<request>`. So nothing of Muster (no
 * Node, no credentials) is needed by the user the server runs as, and what is likely to come next lies ready. Requests are
 * `<name>:<process>`: PostgreSQL asks for the same file again at once, and to be done with one request must not take the
 * next one away. A failure is never taken for the end of WAL: the command then ends with 255, at which PostgreSQL gives
 * up.
 */
export class WalSpool implements AsyncDisposable {
  readonly #dir: string;
  readonly #supply: WalSupply;
  readonly #running = new Map<string, Promise<void>>();
  readonly #fetching = new Map<string, Promise<boolean>>();
  #watcher: FSWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  /** Why a file could not be handed out. */
  failure: MusterError | null = null;
  /** Segments handed out. */
  segments = 0;

  private constructor(dir: string, supply: WalSupply) {
    this.#dir = dir;
    this.#supply = supply;
  }

  static async open(dir: string, supply: WalSupply): Promise<WalSpool> {
    const spool = new WalSpool(dir, supply);
    for (const one of ['', 'want', 'have', 'none']) await makeOwnedDir(path.join(dir, one));
    await writeFile(path.join(dir, 'fetch.sh'), script, { mode: 0o644 });
    spool.#watcher = watch(path.join(dir, 'want'), () => void spool.#look());
    spool.#watcher.on('error', () => undefined); // the timer looks as well
    spool.#timer = setInterval(() => void spool.#look(), lookMs);
    return spool;
  }

  /** `restore_command`; in it `%` stands for itself when doubled. */
  get command(): string {
    const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`).replaceAll('%', '%%')}'`;
    return `/bin/sh ${quoted(path.join(this.#dir, 'fetch.sh'))} ${quoted(this.#dir)} "%f" "%p"`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    if (this.#timer !== null) clearInterval(this.#timer);
    await Promise.allSettled(this.#running.values());
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #look(): Promise<void> {
    const requests = await readdir(path.join(this.#dir, 'want')).catch(() => []);
    for (const request of requests) this.#answer(request);
  }

  #answer(request: string): void {
    const name = request.slice(0, request.indexOf(':'));
    if (this.#closed || !isWalName(name) || this.#running.has(request)) return;
    const work = this.#bring(request, name).finally(() => this.#running.delete(request));
    this.#running.set(request, work);
  }

  async #bring(request: string, name: string): Promise<void> {
    try {
      const isThere = await this.#fetch(name);
      // Before the request goes: else it would be answered twice.
      if (!isThere) await writeFile(path.join(this.#dir, 'none', request), '');
      await rm(path.join(this.#dir, 'want', request), { force: true });
      if (isThere) await this.#fetchAhead(name);
    } catch (err) {
      if (this.#closed) return;
      this.failure ??= toMusterError(err, 'OBJECT_STORE_UNREACHABLE');
      await writeFile(path.join(this.#dir, 'failed'), '').catch(() => undefined);
    }
  }

  /** Nothing that goes wrong here counts: the server has not asked for it. */
  async #fetchAhead(name: string): Promise<void> {
    let next = this.#supply.following(name);
    for (let ahead = 0; ahead < aheadSegments && next !== null && !this.#closed; ahead++) {
      const isThere = await this.#fetch(next).catch(() => false);
      if (!isThere) return;
      next = this.#supply.following(next);
    }
  }

  /** Whether it lies ready now. */
  #fetch(name: string): Promise<boolean> {
    let fetching = this.#fetching.get(name);
    if (fetching === undefined) {
      fetching = this.#bringHere(name).finally(() => this.#fetching.delete(name));
      this.#fetching.set(name, fetching);
    }
    return fetching;
  }

  async #bringHere(name: string): Promise<boolean> {
    const place = path.join(this.#dir, 'have', name);
    if (await exists(place)) return true;
    const supply = await this.#supply.get(name);
    if (supply.kind === 'none') return false;
    const aside = `${place}.partly`;
    await writePieces(aside, supply.pieces);
    await giveToOwner(aside);
    await rename(aside, place);
    this.segments++;
    return true;
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function writePieces(file: string, pieces: AsyncIterable<Buffer>): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      for await (const piece of pieces) await handle.writeFile(piece);
    } finally {
      await handle.close();
    }
  } catch (err) {
    await rm(file, { force: true }).catch(() => undefined);
    throw codeOf(err) === '' || err instanceof MusterError ? err : failedWrite(file, err);
  }
}

/**
 * Waits up to ten minutes for an answer: whoever should give it may be dead. Moves and does not copy: the spool lies on
 * the file system of the data directory.
 */
const script = `# restore_command of a server that Muster recovers: fetch.sh SPOOL NAME TARGET
spool=$1 name=$2 target=$3 request=$2:$$ rounds=0
while [ ! -e "$spool/have/$name" ]; do
  if [ -e "$spool/failed" ] || [ ! -d "$spool/want" ]; then exit 255; fi
  if [ -e "$spool/none/$request" ]; then rm -f "$spool/none/$request"; exit 1; fi
  if [ "$rounds" -eq 0 ]; then : > "$spool/want/$request" || exit 255; fi
  if [ "$rounds" -gt 30000 ]; then exit 255; fi
  rounds=$((rounds + 1))
  sleep 0.02
done
exec mv "$spool/have/$name" "$target"
`;
