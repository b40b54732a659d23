import { open } from 'node:fs/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { findPostgres } from '../../drivers/postgres/binaries.ts';
import { bytesBetween } from '../../drivers/postgres/lsn.ts';
import { startServer } from '../../drivers/postgres/server.ts';
import { logFile } from '../../drivers/postgres/settings.ts';
import type { StoredBackup } from './backup-entry.ts';
import { readControlSettings } from './control-settings.ts';
import { freeLoopbackPort } from './free-port.ts';
import { layDown, type LaidDown } from './lay-down.ts';
import { readReached, type Reached } from './reached.ts';
import { preparePlace, removeRecovered, replaceConfiguration, spoolDir } from './recovered-place.ts';
import { readRecoveryLog, recoveryFailure } from './recovery-log.ts';
import { planRecovery, type RecoveryPlan } from './recovery-plan.ts';
import { recoverySettings } from './recovery-settings.ts';
import { describeTarget, type RecoveryTarget } from './recovery-target.ts';
import { damageAt } from './wal-damage.ts';
import { noArchive, type WalArchive } from './wal-archive.ts';
import { untilOpen } from './until-open.ts';
import { WalSpool } from './wal-spool.ts';
import { WalSupply } from './wal-supply.ts';

export interface RecoverOptions {
  backup: StoredBackup;
  /** `null`: the backup alone, with the WAL it holds. */
  archive: WalArchive | null;
  target: RecoveryTarget;
  /** Absolute; empty, not there, or holding a server that was recovered here before (which is removed). */
  dataDir: string;
  /** PostgreSQL's programs of the backup's major version; default: the bundled ones. */
  binDir?: string;
  /** A superuser of the restored server, for looking at it. */
  user: string;
  database?: string;
  /** Default: a free one. */
  port?: number;
  /** `promote` opens the database as a primary on a timeline of its own; `pause` leaves it read-only at the target. */
  action?: 'promote' | 'pause';
  /** Further settings of the server, e.g. `{ shared_buffers: '1GB' }`. */
  settings?: Record<string, string>;
  /** Limit for the server to start and replay, default 24 h. */
  replayMs?: number;
  signal?: AbortSignal;
  onProgress?(progress: RecoverProgress): void;
}

export type RecoverProgress =
  { phase: 'laying-down'; bytes: number; totalBytes: number } | { phase: 'replaying'; segments: number };

/** A recovered server that runs. Disposing of it removes it, unless it was kept. */
export interface RecoveredServer extends AsyncDisposable {
  dataDir: string;
  /** Over its Unix socket, as the superuser, without a password. */
  url: string;
  /** On the loopback, for roles with passwords of their own. */
  port: number;
  reached: Reached;
  /** What a restore model learns from. */
  timings: { bytes: number; files: number; layDownSeconds: number; walBytes: number; replaySeconds: number };
  /** Leaves nothing of it. */
  remove(): Promise<void>;
  /** From now on disposing does not remove it. */
  keep(): void;
}

/**
 * Restores a base backup into a new server and recovers it to a point in time. The server is alone: own port, loopback
 * only, no archive, nobody to follow; nothing of the source's configuration is in force (it lies beside, in `originals`).
 * On any failure everything is removed again.
 * @throws MusterError WAL_GAP, RECOVERY_TARGET_UNREACHABLE (both name how far it goes), RESTORE_FAILED naming damaged
 * files of the backup, CHECKSUM_MISMATCH naming damaged WAL, CONFIG_INVALID, TARGET_FULL
 */
export async function recover(options: RecoverOptions): Promise<RecoveredServer> {
  const { dataDir, backup } = options;
  await checkVersion(options);
  const plan = await planRecovery(backup.facts, options.archive, options.target);
  const { socketDir } = await preparePlace(dataDir);
  try {
    const startedAt = performance.now();
    const laid = await layDown(backup, {
      dataDir,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProgress: (progress) => options.onProgress?.({ phase: 'laying-down', ...progress }),
    });
    await replaceConfiguration(dataDir);
    const layDownSeconds = (performance.now() - startedAt) / 1000;
    return await new Recovery(options, plan, socketDir).run(laid, layDownSeconds);
  } catch (err) {
    await removeRecovered(dataDir);
    if (options.signal?.aborted === true) throw new MusterError('RESTORE_FAILED', `recovery in ${dataDir} was stopped`);
    throw toMusterError(err, 'RESTORE_FAILED');
  }
}

async function checkVersion({ backup, binDir }: RecoverOptions): Promise<void> {
  const { major, postgres } = await findPostgres(binDir);
  const wanted = backup.facts.postgresMajor;
  if (major === wanted) return;
  throw new MusterError('CONFIG_INVALID', `the base backup is of PostgreSQL ${wanted}, ${postgres} is ${major}`);
}

class Recovery {
  readonly #options: RecoverOptions;
  readonly #plan: RecoveryPlan;
  readonly #socketDir: string;
  readonly #supply: WalSupply;

  constructor(options: RecoverOptions, plan: RecoveryPlan, socketDir: string) {
    this.#options = options;
    this.#plan = plan;
    this.#socketDir = socketDir;
    this.#supply = new WalSupply(options.archive ?? noArchive, plan.supply);
  }

  async run(laid: LaidDown, layDownSeconds: number): Promise<RecoveredServer> {
    const { dataDir, user, database = 'postgres', action = 'promote' } = this.#options;
    const port = this.#options.port ?? (await freeLoopbackPort());
    const startedAt = performance.now();
    await this.#replay(port, action);
    const url = `postgres://${encodeURIComponent(user)}@${encodeURIComponent(this.#socketDir)}:${port}/${encodeURIComponent(database)}`;
    const reached = await readReached({ url, action, log: await this.#log(), signal: this.#options.signal });
    const replaySeconds = (performance.now() - startedAt) / 1000;
    await this.#checkEnd(reached);
    let kept = false;
    const remove = (): Promise<void> => removeRecovered(dataDir);
    const timings = { bytes: laid.bytes, files: laid.files, layDownSeconds, replaySeconds };
    return {
      ...{ dataDir, url, port, reached, remove },
      timings: { ...timings, walBytes: bytesBetween(reached.lsn, this.#options.backup.facts.startLsn) ?? 0 },
      keep: () => void (kept = true),
      [Symbol.asyncDispose]: async () => (kept ? undefined : remove()),
    };
  }

  /** Starts the server and waits until it is where it should be. */
  async #replay(port: number, action: 'promote' | 'pause'): Promise<void> {
    const { dataDir, target, binDir, signal, settings = {}, replayMs = 86_400_000 } = this.#options;
    await using spool = await WalSpool.open(spoolDir(dataDir), this.#supply);
    const control = await readControlSettings(dataDir);
    const { timeline } = this.#plan.reach;
    const place = { port, socketDir: this.#socketDir, fetchCommand: spool.command };
    const report = (): void => this.#options.onProgress?.({ phase: 'replaying', segments: spool.segments });
    const reporting = setInterval(report, 250);
    try {
      const { pid } = await startServer({
        dataDir,
        settings: recoverySettings({ ...place, target, timeline, action, control, extra: settings }),
        waitMs: replayMs,
        ...(binDir === undefined ? {} : { binDir }),
        ...(signal === undefined ? {} : { signal }),
      });
      if (action === 'promote') await untilOpen(dataDir, pid, { limitMs: replayMs, signal });
    } catch (err) {
      throw spool.failure ?? (await this.#explained(err));
    } finally {
      clearInterval(reporting);
    }
  }

  async #explained(err: unknown): Promise<MusterError> {
    const log = readRecoveryLog(await this.#log());
    if (log.fatal === null) return toMusterError(err, 'RESTORE_FAILED');
    const what = `recovery to ${describeTarget(this.#options.target)}`;
    const damage = log.redoDoneLsn === null ? null : await damageAt(this.#supply, this.#plan, log.redoDoneLsn);
    if (damage !== null) return new MusterError('CHECKSUM_MISMATCH', `${what} ended early: ${damage}`);
    const failure = recoveryFailure(log, what);
    const { gap, toLsn } = this.#plan.reach;
    const far = gap === null ? `WAL ends at about ${toLsn}` : `${gap} is missing, WAL ends at ${toLsn}`;
    return new MusterError(failure.code, `${failure.message} (${far})`, { cause: err });
  }

  /** Recovery takes damaged WAL for its end. Where all WAL was wanted, it must have come to the end of all WAL. */
  async #checkEnd({ lsn }: Reached): Promise<void> {
    if (this.#options.target.kind !== 'latest') return;
    const damage = await damageAt(this.#supply, this.#plan, lsn);
    if (damage !== null) throw new MusterError('CHECKSUM_MISMATCH', `recovery ended early: ${damage}`);
  }

  async #log(): Promise<string> {
    const handle = await open(logFile(this.#options.dataDir)).catch(() => null);
    try {
      return (await handle?.readFile('utf8')) ?? '';
    } finally {
      await handle?.close();
    }
  }
}
