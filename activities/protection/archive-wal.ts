import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../workflows/engine/errors.ts';
import type { ArchiveWalOrder } from '../../workflows/engine/protection.ts';
import { keepSlot } from '../backup/postgres/keep-slot.ts';
import type { ReceiverStatus } from '../backup/postgres/receiver-status.ts';
import { identifyServer, ReplicationSession } from '../backup/postgres/replication-session.ts';
import { openRepositoryWalArchive } from '../backup/postgres/repository-wal-archive.ts';
import { SpooledWalStore } from '../backup/postgres/spooled-wal-store.ts';
import { startReceiver, type ReceiverEvent, type WalReceiver } from '../backup/postgres/wal-stream.ts';
import type { Repository } from '../backup/repository/attach.ts';
import { replicationUrlOf, urlOf } from '../drivers/postgres/config.ts';
import { KeptSql } from '../drivers/postgres/kept-sql.ts';
import { formatLsn } from '../drivers/postgres/lsn.ts';
import { oneRow } from '../drivers/postgres/sql.ts';
import type { ProtectionContext } from './context.ts';
import { openVault } from './vault.ts';

/** How far the archive is: the progress that is told, and the answer at the end. What is not known now is null. */
export interface ArchiveWalProgress {
  state: ReceiverStatus['state'];
  systemId: string;
  timeline: number | null;
  /** On this machine's disk up to here. */
  receivedLsn: string | null;
  /** In the vault up to here. */
  safeLsn: string | null;
  /** End of the server's WAL as it last said. */
  serverLsn: string | null;
  /** Server's end less what is on this machine's disk; together with the age of what the server said. */
  lagBytes: number | null;
  replyAgeMs: number | null;
  /** Segments that came to the vault in this attempt, and those that are still on their way. */
  archivedSegments: number;
  waitingSegments: number;
  /** As the server has it: only with `sync` or `quorum` does a commit wait for this archive. */
  syncState: string | null;
  /** Pieces of WAL that the server had removed before they came here, the last ten. Nothing behind one can be reached from before it. */
  gaps: string[];
  /** The last thing that went wrong and is being tried again. */
  problem: string | null;
}

/** Name of the archive's session and of its replication slot at the server. */
export function archiveName(vault: string): string {
  return `muster_wal_${vault.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

const tellEveryMs = 2_000;
const lastFlushMs = 10_000;

/**
 * Streams the WAL of a database into a vault until it is told to stop. It is received onto the disk of this machine and
 * goes to the vault from there: full segments at once, what there is of the next one every ten seconds and whenever the
 * stream breaks. No lock of the repository is held: WAL lies where no prune looks. The server's slot `muster_wal_<vault>`
 * follows what is in the vault, so that a lost machine costs nothing while the server lives.
 *
 * With `synchronous` the server is told what is on this machine's disk, so that commits may wait for it. For that the
 * server must name the archive as well: `synchronous_standby_names = 'FIRST 1 (muster_wal_<vault>)'`, or beside a standby
 * whose rows must not be lost either `'FIRST 2 (muster_<site>, muster_wal_<vault>)'`. Whether it does is in the progress
 * (`syncState`). Without `synchronous` the server is told nothing that a commit could wait for, not even under `'*'`.
 * @param onGap told of each piece of WAL that is lost to the archive for good
 * @throws MusterError DATABASE_UNREACHABLE when the server does not answer at the beginning (later it is waited for);
 * WAL_CONFLICT, CHECKSUM_MISMATCH, TARGET_FULL (this machine's disk), CREDENTIALS_REFUSED, REPOSITORY_MISSING, ...
 */
export async function archiveWal(
  order: ArchiveWalOrder,
  context: ProtectionContext,
  onGap: (why: string) => void = () => undefined,
): Promise<ArchiveWalProgress> {
  const repository = await openVault(order.vault);
  try {
    // First what an earlier attempt received and could not send any more: for that no server is needed.
    await sendSpooled(order, repository, context);
    const url = (): string => replicationUrlOf(order.resource, order.site);
    const systemId = await systemAt(url(), archiveName(order.vault.name), context.signal);
    await using store = await openSpool(order, { repository, systemId, context });
    return await new Archiving(order, context, { store, systemId, onGap }).run();
  } finally {
    await repository.close();
  }
}

function spoolDir({ vault, service, resource }: ArchiveWalOrder, { stateDir }: ProtectionContext): string {
  return path.join(stateDir, 'wal', vault.name, service, resource.name);
}

async function openSpool(
  order: ArchiveWalOrder,
  { repository, systemId, context }: { repository: Repository; systemId: string; context: ProtectionContext },
): Promise<SpooledWalStore> {
  const { service, resource } = order;
  const archive = openRepositoryWalArchive(repository, { service, resource: resource.name, systemId });
  const dir = path.join(spoolDir(order, context), systemId);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return SpooledWalStore.open({ archive, dir });
}

async function sendSpooled(order: ArchiveWalOrder, repository: Repository, context: ProtectionContext): Promise<void> {
  const found = await readdir(spoolDir(order, context)).catch(() => []);
  for (const systemId of found) {
    const store = await openSpool(order, { repository, systemId, context });
    await store[Symbol.asyncDispose]();
  }
}

async function systemAt(url: string, name: string, signal: AbortSignal): Promise<string> {
  const session = await ReplicationSession.open({ url, name, signal, stallMs: 5_000 });
  try {
    return (await identifyServer(session)).systemId;
  } finally {
    session.close();
  }
}

class Archiving {
  readonly #order: ArchiveWalOrder;
  readonly #context: ProtectionContext;
  readonly #store: SpooledWalStore;
  readonly #systemId: string;
  readonly #name: string;
  readonly #sql: KeptSql;
  readonly #onGap: (why: string) => void;
  #gaps: string[] = [];
  #syncState: string | null = null;
  /** Why the server could not be asked, or its slot not be moved. */
  #sqlProblem: string | null = null;

  constructor(
    order: ArchiveWalOrder,
    context: ProtectionContext,
    { store, systemId, onGap }: { store: SpooledWalStore; systemId: string; onGap: (why: string) => void },
  ) {
    this.#order = order;
    this.#context = context;
    this.#store = store;
    this.#systemId = systemId;
    this.#onGap = onGap;
    this.#name = archiveName(order.vault.name);
    this.#sql = new KeptSql(urlOf(order.resource, order.site), { connectMs: 3_000, statementMs: 5_000 });
  }

  async run(): Promise<ArchiveWalProgress> {
    const { resource, site, synchronous } = this.#order;
    await using receiver = startReceiver({
      url: () => replicationUrlOf(resource, site),
      ...{ slot: this.#name, slotFollows: 'caller', name: this.#name, store: this.#store, synchronous },
      // What is gone is gone; what comes is worth having, from the next base backup on.
      ...{ atGap: 'continue', signal: this.#context.signal },
      onEvent: (event) => this.#note(event),
    });
    const ended = new AbortController();
    const telling = this.#tell(receiver, ended.signal);
    try {
      await Promise.race([receiver.done, telling]);
    } finally {
      ended.abort();
      await telling.catch(() => undefined);
      this.#sql.end();
    }
    await receiver.stop();
    await this.#flush();
    return this.#progress(receiver);
  }

  #note(event: ReceiverEvent): void {
    const { log } = this.#context;
    if (event.kind === 'gap') {
      this.#gaps = [...this.#gaps, event.why].slice(-10);
      this.#onGap(event.why);
    }
    if (event.kind !== 'archived') {
      log(`wal of ${this.#order.service}/${this.#order.resource.name}: ${event.kind}`, { ...event });
    }
  }

  /** Rejects when the vault refuses for good what comes. */
  async #tell(receiver: WalReceiver, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      if (this.#store.isStuck) throw this.#store.status().failure ?? new MusterError('INTERNAL', 'the spool is stuck');
      if (receiver.status().state === 'streaming') await this.#askServer();
      else this.#syncState = null;
      this.#context.heartbeat(this.#progress(receiver));
      await sleep(tellEveryMs, undefined, { signal: ended }).catch(() => undefined);
    }
  }

  async #askServer(): Promise<void> {
    try {
      await this.#sql.use(async (client) => {
        await keepSlot(client, this.#name, this.#store.status().safeLsn);
        const row = await oneRow<{ state: string }>(
          client,
          `SELECT sync_state AS state FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`,
          [this.#name],
        );
        this.#syncState = row?.state ?? null;
      });
      this.#sqlProblem = null;
    } catch (err) {
      this.#sqlProblem = toMusterError(err, 'DATABASE_UNREACHABLE').message;
      this.#syncState = null;
    }
  }

  /** What cannot be sent now stays in the spool for the next attempt. */
  async #flush(): Promise<void> {
    const limit = new AbortController();
    const late = sleep(lastFlushMs, 'late' as const, { signal: limit.signal }).catch(() => 'late' as const);
    const outcome = await Promise.race([late, this.#store.flush().catch((err: unknown) => toMusterError(err).message)]);
    limit.abort();
    if (outcome !== undefined) this.#context.log('what is spooled goes to the vault the next time', { why: outcome });
  }

  #progress(receiver: WalReceiver): ArchiveWalProgress {
    const { state, timeline, flushedLsn, serverLsn, lagBytes, replyAgeMs, why } = receiver.status();
    const { archivedSegments, waitingSegments, safeLsn, failure } = this.#store.status();
    return {
      ...{ state, systemId: this.#systemId, timeline, receivedLsn: flushedLsn },
      ...{ safeLsn: safeLsn === null ? null : formatLsn(safeLsn), serverLsn, lagBytes, replyAgeMs },
      ...{ archivedSegments, waitingSegments, syncState: this.#syncState },
      ...{ gaps: this.#gaps, problem: failure?.message ?? why ?? this.#sqlProblem },
    };
  }
}
