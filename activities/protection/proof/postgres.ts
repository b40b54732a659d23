import { MusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import { nodeAt } from '../../backup/engine/walk-snapshot.ts';
import type { BackupEntry, BackupFacts } from '../../backup/postgres/backup-entry.ts';
import type { Finding } from '../../backup/postgres/findings.ts';
import { recover, type RecoveredServer, type RecoverOptions } from '../../backup/postgres/recover.ts';
import type { RecoveryTarget } from '../../backup/postgres/recovery-target.ts';
import { verifyRestored, type CanaryExpectation } from '../../backup/postgres/verify.ts';
import { isEmptyArchive, type WalArchive } from '../../backup/postgres/wal-archive.ts';
import { storedBaseBackup } from '../../backup/source/postgres.ts';
import { urlOf } from '../../drivers/postgres/config.ts';
import { addressOf } from '../../drivers/postgres/conninfo.ts';
import { binariesFor } from '../binaries-for.ts';
import { contentFindings } from './database-contents.ts';
import { judged, passed } from './finding.ts';
import { factDifferences } from './recorded.ts';
import { referenceFindings } from './references.ts';
import { secondsSince, type Proving, type Restored } from './trial.ts';

/** Written last by a server and first by none: what it says decides how the rest is read. */
const controlPath = '/postgres/data/global/pg_control';

/** Limit of one statement: a large table is read as a whole. */
const statementMs = 6 * 3_600_000;

/**
 * Recovers a base backup into a server of its own and looks at it. The server runs when this resolves; it goes with the
 * place. @throws MusterError as `recover`; RESTORE_FAILED for a version of PostgreSQL that is not here
 */
export async function provePostgres(proving: Proving): Promise<Restored> {
  const { stored, order, point, findings } = proving;
  const backup = await storedBaseBackup(stored.repository, stored.snapshot);
  if ((await nodeAt(stored.trees, stored.snapshot.tree, controlPath)) === null) {
    throw new MusterError('RESTORE_FAILED', `${controlPath} is missing: without it there is no database`);
  }
  findings.push(compareFacts(point.id, point.facts, backup.facts));
  const { archive, target } = await wayTo(proving, backup.facts);
  const { user, database } = addressOf(urlOf(order.resource, order.site));
  const startedAt = performance.now();
  const server = await recovered({
    ...{ backup, archive, target, user, database, dataDir: proving.place.dataDir, signal: proving.signal },
    ...(await binariesFor(order, backup.facts.postgresMajor)),
    onProgress: (progress) => proving.context.heartbeat(progress),
  });
  proving.restoreSeconds = secondsSince(startedAt);
  noteRestored(proving, server, backup.facts);
  await verify(proving, server);
  return { url: server.url, directory: server.dataDir };
}

/** What reading the backup has thrown is the reason, whatever became of the directory that was half laid down then. */
async function recovered(options: RecoverOptions): Promise<RecoveredServer> {
  let reason: unknown = null;
  const { facts, entries } = options.backup;
  async function* watched(): AsyncGenerator<BackupEntry> {
    for await (const entry of entries()) yield { ...entry, body: noted(entry.body) };
  }
  async function* noted<Piece>(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
    try {
      yield* pieces;
    } catch (err) {
      reason ??= err;
      throw err;
    }
  }
  try {
    return await recover({ ...options, backup: { facts, entries: () => noted(watched()) } });
  } catch (err) {
    throw reason ?? err;
  }
}

function compareFacts(
  subject: string,
  recorded: JsonObject,
  { postgresMajor, systemId, timeline, ...at }: BackupFacts,
) {
  const { startLsn, endLsn } = at;
  const differences = factDifferences(recorded, { postgresMajor, systemId, timeline, startLsn, endLsn });
  const said = `PostgreSQL ${postgresMajor}, system ${systemId}, timeline ${timeline}, ${startLsn} to ${endLsn}`;
  const detail = differences.length > 0 ? differences.join('; ') : said;
  return judged(differences.length === 0, { check: 'facts', subject, detail });
}

/** A point alone needs no archive, unless the base backup was stored without the WAL that makes it consistent. */
async function wayTo(
  { order, stored, archiveOf }: Proving,
  { hasWal, timeline, systemId }: BackupFacts,
): Promise<{ archive: WalArchive | null; target: RecoveryTarget }> {
  const { target } = order;
  const own: RecoveryTarget = { kind: 'immediate', timeline };
  if (target.kind === 'point' && hasWal) return { archive: null, target: own };
  const of = { service: order.service, resource: order.resource.name, systemId };
  const archive = archiveOf(stored.repository, of);
  if (archive === null || (await isEmptyArchive(archive))) {
    const what = target.kind === 'point' ? 'the base backup holds no WAL' : 'archived WAL was to be replayed';
    const why = archive === null ? 'has no archive' : `has nothing in ${archive.place}`;
    throw new MusterError('RECOVERY_TARGET_UNREACHABLE', `${what}, and ${of.service}/${of.resource} ${why}`);
  }
  return { archive, target: target.kind === 'point' ? own : { ...target, timeline: 'latest' } };
}

function noteRestored(proving: Proving, { timings, reached }: RecoveredServer, facts: BackupFacts): void {
  const { order, point, figures, findings } = proving;
  const { bytes, files, layDownSeconds, walBytes, replaySeconds } = timings;
  Object.assign(figures, { restoredBytes: bytes, layDownSeconds, walBytes, replaySeconds });
  const { target } = order;
  // An idle database has its last commit long before the moment whose state it is in.
  const latest = Math.max(facts.endedAtMs, reached.lastTransactionAtMs ?? 0);
  proving.restoredToMs = target.kind === 'point' ? facts.endedAtMs : target.kind === 'time' ? target.atMs : latest;
  const where = `${files} files, ${bytes} bytes, recovered to ${reached.lsn} on timeline ${reached.timeline}`;
  findings.push(passed({ check: 'restore', subject: point.id, detail: where }));
}

async function verify(proving: Proving, { url }: RecoveredServer): Promise<void> {
  const { order, context, signal, findings, figures } = proving;
  const { rows, sql } = order.checks;
  const startedAt = performance.now();
  const onProgress = (subject: string): void => context.heartbeat({ phase: 'verifying', subject });
  const contents = await contentFindings(url, { statementMs, signal, onProgress });
  const verification = await verifyRestored({
    ...{ url, statementMs, signal, onProgress, canary: canaryOf(proving) },
    ...(rows !== undefined && { rows }),
    ...(sql !== undefined && { checks: sql }),
  });
  signal.throwIfAborted();
  findings.push(...contents, ...verification.findings.map(asProofFinding), ...(await referenceFindings(proving, url)));
  figures.verifySeconds = secondsSince(startedAt);
}

/** Where all WAL was wanted, the age counts from now: an archive that has silently stopped looks young to itself. */
function canaryOf({ order, point, startedAtMs }: Proving): CanaryExpectation | null {
  const { target, checks } = order;
  if (checks.canaryMaxAgeSeconds === undefined) return null;
  const atMs = target.kind === 'latest' ? startedAtMs : target.kind === 'time' ? target.atMs : point.takenAtMs;
  return { atMs, maxAgeMs: checks.canaryMaxAgeSeconds * 1_000 };
}

/** What decides nothing is kept under a name that proves nothing. */
function asProofFinding({ check, subject, verdict, detail }: Finding): Proving['findings'][number] {
  return verdict === 'noted'
    ? { check: 'note', subject, verdict: 'passed', detail }
    : { check, subject, verdict, detail };
}
