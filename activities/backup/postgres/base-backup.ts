import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { placeOf } from '../../drivers/postgres/conninfo.ts';
import { backupCommand } from './backup-command.ts';
import { manifestName, type BackupEntry, type BackupFacts } from './backup-entry.ts';
import { BackupFlow, type FlowEvent, type FlowTarget } from './backup-flow.ts';
import { BackupParts, type BackupEnd, type BackupStart } from './backup-parts.ts';
import type { ManifestAlgorithm } from './file-digest.ts';
import { includedWalFaults } from './included-wal.ts';
import { faultError } from './manifest-check.ts';
import {
  complaintState,
  identifyServer,
  ReplicationSession,
  type ServerIdentity,
  type SessionOptions,
} from './replication-session.ts';

export interface BaseBackupOptions extends SessionOptions {
  /** `included`: the backup stands alone. `archived`: recovery will need the archive from `startLsn` on. */
  wal: 'included' | 'archived';
  /** Shown in `backup_label`; default `muster`. */
  label?: string;
  /** What the server hashes its files with; default CRC32C, which costs it next to nothing. */
  checksums?: ManifestAlgorithm;
  /** `false` lets the server take its time for the checkpoint that comes first (raise `stallMs`). Default `true`. */
  fastCheckpoint?: boolean;
  /** Limit of the server's sending rate, kB/s (32 to 1,048,576). */
  maxKilobytesPerSecond?: number;
  /** Bytes of file contents so far; the total is the server's estimate, WAL not included. */
  onProgress?(progress: { bytes: number; totalBytes: number | null }): void;
}

/** Takes a base backup as fast as it comes. */
export interface DeliveryTarget extends FlowTarget {
  /** All bytes since the last call may be kept until `release` is called; then they are overwritten. */
  handOver(release: () => void): void;
  /** No more for now: `room` is waited for. */
  readonly full: boolean;
  room(): Promise<void>;
}

/** A base backup on its way. It is complete when `entries` has ended without an error; only then it has facts. */
export interface BaseBackup extends AsyncDisposable {
  server: ServerIdentity;
  start: BackupStart;
  /** Once. Nothing is read from the server while no entry is asked for. */
  entries: AsyncIterable<BackupEntry>;
  /** In place of `entries`: all of it in one go, without a way through a queue for each piece. */
  deliver(target: DeliveryTarget): Promise<void>;
  /** Throws INTERNAL before the end. */
  facts(): BackupFacts;
}

/**
 * Begins a base backup over the replication protocol (BASE_BACKUP, PostgreSQL 14 to 18), the server's checkpoint
 * included. Every file is hashed on its way and compared with the server's manifest, which comes last: what is missing,
 * extra or different fails the backup by name, so a backup whose entries have ended is whole.
 * @throws MusterError DATABASE_UNREACHABLE naming host and port (also when stopped); while reading entries also
 * CHECKSUM_MISMATCH naming files
 */
export async function openBaseBackup(options: BaseBackupOptions): Promise<BaseBackup> {
  const startedAtMs = Date.now();
  const session = await ReplicationSession.open({ ...options, reuseBuffers: true });
  try {
    const server = await identifyServer(session);
    const reader = new BackupReader(session, server, options);
    const start = await reader.begin();
    const facts = (): BackupFacts => ({
      ...reader.facts(),
      systemId: server.systemId,
      postgresMajor: server.major,
      segmentBytes: server.segmentBytes,
      tablespaces: start.tablespaces,
      startedAtMs,
    });
    const close = (): Promise<void> => Promise.resolve(session.close());
    const deliver = (target: DeliveryTarget): Promise<void> => reader.deliver(target);
    return { server, start, entries: reader.entries(), deliver, facts, [Symbol.asyncDispose]: close };
  } catch (err) {
    session.close();
    throw err;
  }
}

class BackupReader {
  readonly #session: ReplicationSession;
  readonly #server: ServerIdentity;
  readonly #options: BaseBackupOptions;
  readonly #flow: BackupFlow;
  readonly #parts: BackupParts;
  #events: FlowEvent[] = [];
  #next = 0;
  #isReady = false;
  #end: (BackupEnd & { endedAtMs: number }) | null = null;

  constructor(session: ReplicationSession, server: ServerIdentity, options: BaseBackupOptions) {
    this.#session = session;
    this.#server = server;
    this.#options = options;
    this.#flow = new BackupFlow(options.checksums ?? 'CRC32C', () => this.#report());
    this.#parts = new BackupParts(server.major, this.#flow);
  }

  async begin(): Promise<BackupStart> {
    const { label = 'muster', checksums = 'CRC32C', fastCheckpoint = true, wal } = this.#options;
    const rate = { maxKilobytesPerSecond: this.#options.maxKilobytesPerSecond ?? null };
    const request = { label, checksums, fastCheckpoint, wal: wal === 'included', ...rate };
    this.#session.send(backupCommand(request, this.#server.major));
    while (this.#parts.start === null && !this.#isReady) await this.#fill();
    if (this.#parts.start === null) throw new MusterError('DATABASE_UNREACHABLE', 'the server sent no backup');
    return this.#parts.start;
  }

  async *entries(): AsyncGenerator<BackupEntry> {
    try {
      for (let event = await this.#event(); event !== null; event = await this.#event()) {
        this.#next++;
        if (event.kind === 'entry') yield { ...event.entry, body: this.#body() };
      }
      yield await this.#finish();
      this.#report();
    } finally {
      this.#session.close();
    }
  }

  async deliver(target: DeliveryTarget): Promise<void> {
    try {
      // What came with the beginning of the answer.
      for (const event of this.#events) {
        if (event.kind === 'entry') target.entry(event.entry);
        else target.data(event.bytes);
      }
      this.#flow.target = target;
      while (!this.#isReady) {
        if (target.full) await target.room();
        await this.#fill();
        target.handOver(this.#session.keep());
      }
      const { body, ...manifest } = await this.#finish();
      target.entry(manifest);
      for await (const bytes of body) target.data(bytes);
      this.#report();
    } finally {
      this.#session.close();
    }
  }

  facts(): Omit<BackupFacts, 'systemId' | 'postgresMajor' | 'segmentBytes' | 'tablespaces' | 'startedAtMs'> {
    const [start, end] = [this.#parts.start, this.#end];
    if (start === null || end === null) throw new MusterError('INTERNAL', 'the backup has not ended');
    return {
      timeline: start.timeline,
      startLsn: start.startLsn,
      endLsn: end.endLsn,
      endedAtMs: end.endedAtMs,
      hasWal: this.#options.wal === 'included',
      checksums: this.#options.checksums ?? 'CRC32C',
      files: this.#flow.inspector.files,
      bytes: this.#flow.inspector.bytes,
    };
  }

  async *#body(): AsyncGenerator<Buffer> {
    for (let event = await this.#event(); event?.kind === 'data'; event = await this.#event()) {
      this.#next++;
      yield event.bytes;
      this.#flow.release(event.bytes);
    }
  }

  /** The next event, not taken yet; `null` when all archives are over. */
  async #event(): Promise<FlowEvent | null> {
    for (;;) {
      const event = this.#events[this.#next];
      if (event !== undefined) return event;
      if (this.#isReady) return null;
      await this.#fill();
    }
  }

  async #fill(): Promise<void> {
    try {
      for (const piece of await this.#session.pieces()) {
        this.#parts.take(piece);
        if (piece.kind === 'ready') this.#isReady = true;
      }
    } catch (err) {
      throw this.#explained(err);
    }
    [this.#events, this.#next] = [this.#flow.events, 0];
    this.#flow.events = [];
  }

  /** The server checks its pages as it sends them, names the damaged ones in passing and fails at the very end. */
  #explained(err: unknown): MusterError {
    const dataCorrupted = 'XX001';
    const { code, message } = toMusterError(err, 'DATABASE_UNREACHABLE');
    if (complaintState(err) !== dataCorrupted) return new MusterError(code, message, { cause: err });
    const remarks = this.#parts.notices.filter((text) => text.includes('checksum')).slice(0, 5);
    return new MusterError('CHECKSUM_MISMATCH', [message, ...remarks].join('; '), { cause: err });
  }

  async #finish(): Promise<BackupEntry> {
    const end = this.#parts.end();
    const manifest = this.#flow.manifestBytes;
    const { facts, faults } = this.#flow.inspector.check.compare(manifest);
    if (this.#options.wal === 'included') {
      faults.push(...includedWalFaults(this.#flow.inspector.segments, facts.walRanges, this.#server));
    }
    const place = placeOf(this.#options.url);
    if (faults.length > 0) throw faultError('CHECKSUM_MISMATCH', `base backup of ${place}`, faults);
    this.#end = { ...end, endedAtMs: Date.now() };
    return {
      ...{ tablespace: null, path: manifestName, kind: 'file', mode: 0o600, mtimeMs: this.#end.endedAtMs },
      ...{ sizeBytes: manifest.length, linkTarget: '', body: once(manifest) },
    };
  }

  #report(): void {
    const totalBytes = this.#parts.start?.totalBytes ?? null;
    this.#options.onProgress?.({ bytes: this.#flow.inspector.bytes, totalBytes });
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
