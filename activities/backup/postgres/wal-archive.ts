import { MusterError } from '../../../workflows/engine/errors.ts';
import { parseHistory } from '../../drivers/postgres/history.ts';
import { usedPrefix } from './partial-content.ts';
import { bytesContent, readAll, readHead, sameContent, sameStart, type WalContent } from './wal-content.ts';
import { isWalName, parseWalName, type WalName } from './wal-name.ts';
import { longHeaderBytes, parseSegmentHeader, segmentProblem } from './wal-page.ts';

/**
 * Where WAL is kept: one flat folder of files under PostgreSQL's own names. What is stored stays as it is; only partial
 * segments may be replaced. Failures are MusterErrors; what may be repeated safely was repeated before one is thrown.
 */
export interface WalArchive {
  /** For messages; holds no secret. */
  readonly place: string;
  /** Names of files of WAL (see `wal-name.ts`), in no particular order. */
  list(): AsyncIterable<string>;
  /** The bytes of a file; `null` when there is none. Anything else that keeps it from being read is thrown. */
  get(name: string): Promise<AsyncIterable<Buffer> | null>;
  /** Stores a file under a new name: durable when it resolves, whole or not there. Never overwrites. */
  create(name: string, content: WalContent): Promise<'created' | 'exists'>;
  /** Puts other bytes under the name of a partial segment, all at once. */
  replace(name: string, content: WalContent): Promise<void>;
  /** No error when there is none. */
  remove(name: string): Promise<void>;
}

/** For backups that need none. */
export const noArchive: WalArchive = {
  place: 'no archive',
  list: () => nothing(),
  get: () => Promise.resolve(null),
  create: () => Promise.reject(new MusterError('CONFIG_INVALID', 'there is no archive')),
  replace: () => Promise.reject(new MusterError('CONFIG_INVALID', 'there is no archive')),
  remove: () => Promise.resolve(),
};

async function* nothing(): AsyncGenerator<never> {}

/** Recovery takes an archive that has never got anything for one that has got everything: ask first. */
export async function isEmptyArchive(archive: WalArchive): Promise<boolean> {
  for await (const _ of archive.list()) return false;
  return true;
}

/** Whose WAL an archive holds: one archive, one system. */
export interface ArchiveIdentity {
  systemId: string;
  segmentBytes: number;
}

/** Beside the WAL; not listed. */
export const identityName = 'archive.json';

/** `null` for an archive that has never held anything. */
export async function readIdentity(archive: WalArchive): Promise<ArchiveIdentity | null> {
  const found = await archive.get(identityName);
  return found === null ? null : (JSON.parse((await readAll(found)).toString('utf8')) as ArchiveIdentity);
}

/**
 * Makes the archive that system's, or finds that it is.
 * @throws MusterError WAL_CONFLICT when it is another's
 */
export async function claimArchive(archive: WalArchive, identity: ArchiveIdentity): Promise<void> {
  const { systemId, segmentBytes } = identity;
  let present = await readIdentity(archive);
  if (present === null) {
    const text = Buffer.from(`${JSON.stringify({ systemId, segmentBytes })}\n`);
    if ((await archive.create(identityName, bytesContent(text))) === 'created') return;
    present = await readIdentity(archive);
  }
  if (present?.systemId === systemId && present.segmentBytes === segmentBytes) return;
  throw new MusterError(
    'WAL_CONFLICT',
    `${archive.place} holds the WAL of system ${present?.systemId}, this is of system ${systemId}`,
  );
}

/** `same`: it was there already, byte for byte, so it counts as stored. */
export type ArchiveOutcome = 'stored' | 'same';

/**
 * Stores one file of WAL so that it may be tried again and again: the same bytes under the same name are fine, others are
 * an alarm and leave the first ones. A segment must look like what its name says, and be of the archive's system.
 * `create` says how it comes to its place when there is a shorter way than to write it.
 * @throws MusterError WAL_CONFLICT; CHECKSUM_MISMATCH when it is no such file; CONFIG_INVALID for a name of something
 * else; what the archive throws
 */
export async function archiveWal(
  archive: WalArchive,
  name: string,
  content: WalContent,
  create = (): Promise<'created' | 'exists'> => archive.create(name, content),
): Promise<ArchiveOutcome> {
  if (!isWalName(name)) throw new MusterError('CONFIG_INVALID', `${name} is not a name of WAL`);
  if (name.endsWith('.history')) checkHistory(name, (await readAll(content.read())).toString('utf8'));
  else if (!name.endsWith('.backup')) await checkSegment(archive, name, content);
  if ((await create()) === 'created') return 'stored';
  if (name.endsWith('.partial')) return keepLonger(archive, name, content);
  const present = await archive.get(name);
  if (present !== null && (await sameContent(present, content.read()))) return 'same';
  throw conflict(archive, name);
}

async function checkSegment(archive: WalArchive, name: string, content: WalContent): Promise<void> {
  const head = await readHead(content, longHeaderBytes);
  const header = parseSegmentHeader(head);
  if (header === null) throw notWhatItSays(name, 'it does not begin like a segment of WAL');
  const { segmentBytes, systemId } = header;
  const parsed = parseWalName(name, segmentBytes);
  if (parsed === null || !isSegment(parsed))
    throw notWhatItSays(name, `no segment of ${segmentBytes} bytes has that name`);
  if (parsed.kind === 'segment' && content.sizeBytes !== segmentBytes) {
    throw notWhatItSays(name, `it has ${content.sizeBytes} bytes, not ${segmentBytes}`);
  }
  const problem = segmentProblem(head, { ...parsed, segmentBytes, systemId: null });
  if (problem !== null) throw notWhatItSays(name, `it ${problem}`);
  await claimArchive(archive, { systemId, segmentBytes });
}

function isSegment(name: WalName): name is Extract<WalName, { segment: number }> {
  return name.kind === 'segment' || name.kind === 'partial';
}

function checkHistory(name: string, text: string): void {
  const timeline = Number.parseInt(name, 16);
  const parents = parseHistory(text).map((one) => one.timeline);
  const ascends = parents.every((one, index) => one < (parents[index + 1] ?? timeline));
  if (parents.length === 0 || !ascends) throw notWhatItSays(name, 'it is no history of that timeline');
}

/** Two copies of a segment that is not full agree as far as the shorter one goes; the longer one is kept. */
async function keepLonger(archive: WalArchive, name: string, content: WalContent): Promise<ArchiveOutcome> {
  const stored = async (): Promise<AsyncIterable<Buffer>> => (await archive.get(name)) ?? nothing();
  const [here, there] = [await usedPrefix(content.read()), await usedPrefix(await stored())];
  if (!(await sameStart(content.read(), await stored(), Math.min(here, there)))) throw conflict(archive, name);
  if (here <= there) return 'same';
  await archive.replace(name, content);
  return 'stored';
}

function conflict(archive: WalArchive, name: string): MusterError {
  return new MusterError(
    'WAL_CONFLICT',
    `${archive.place} holds other bytes under ${name}; they were left as they are`,
  );
}

function notWhatItSays(name: string, why: string): MusterError {
  return new MusterError('CHECKSUM_MISMATCH', `${name} was not archived: ${why}`);
}
