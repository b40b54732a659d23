import { MusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';
import { parseHistory, type TimelineHistory } from '../../drivers/postgres/history.ts';
import { parseLsn } from '../../drivers/postgres/lsn.ts';
import { oneRow, withSql, type SqlClient } from '../../drivers/postgres/sql.ts';
import type { WalStore } from './wal-store.ts';
import { complaintState, type ReplicationSession, type ServerIdentity } from './replication-session.ts';
import { endOfArchive, streamStart, type WalPosition } from './stream-position.ts';
import { archiveWal } from './wal-archive.ts';
import { bytesContent } from './wal-content.ts';
import { historyName, segmentAt, segmentStart } from './wal-name.ts';

/** One connection of a receiver. */
export interface Streaming {
  /** Address that the session was opened with. */
  url: string;
  session: ReplicationSession;
  server: ServerIdentity;
  store: WalStore;
  slot: string | null;
  /** Whether the slot goes along with what is confirmed; else somebody else moves it. */
  movesSlot: boolean;
}

const objectExists = '42710';

/** Failures that another attempt cannot cure. */
export function isFinal({ code }: { code: ErrorCode }): boolean {
  return [
    'WAL_CONFLICT',
    'WAL_GAP',
    'TARGET_FULL',
    'CREDENTIALS_REFUSED',
    'CHECKSUM_MISMATCH',
    'CONFIG_INVALID',
  ].includes(code);
}

/** Makes the slot when it is not there; it holds WAL back from the server's last checkpoint on. */
export async function reserveSlot(session: ReplicationSession, slot: string): Promise<void> {
  if (!/^[a-z0-9_]{1,63}$/.test(slot)) throw new MusterError('CONFIG_INVALID', `${slot} is no name of a slot`);
  try {
    await session.rows(`CREATE_REPLICATION_SLOT ${slot} PHYSICAL RESERVE_WAL`);
  } catch (err) {
    if (complaintState(err) !== objectExists) throw err;
  }
}

/** Where to begin: behind what is stored; with an empty archive, where the slot begins. */
export async function findStart(streaming: Streaming, skipGap: boolean): Promise<WalPosition> {
  const { server, store, session } = streaming;
  const names: string[] = [];
  for await (const name of store.list()) names.push(name);
  const end = endOfArchive(names, server.segmentBytes);
  if (end === null || skipGap) return firstPosition(streaming, skipGap);
  const history: TimelineHistory = {
    systemId: server.systemId,
    timelines: await timelinesOf(session, server.timeline),
  };
  const start = streamStart(end, history, server.segmentBytes);
  if (start.kind === 'stranger') throw new MusterError('DATABASE_UNREACHABLE', start.why);
  return start.position;
}

async function firstPosition(streaming: Streaming, skipGap: boolean): Promise<WalPosition> {
  const { server, slot } = streaming;
  const now = { timeline: server.timeline, lsn: parseLsn(server.flushLsn) ?? 0n };
  const kept = slot === null || skipGap ? null : await slotPosition(streaming, slot);
  const { timeline, lsn } = kept ?? now;
  return { timeline, lsn: segmentStart(segmentAt(lsn, server.segmentBytes), server.segmentBytes) };
}

/** From where on the server keeps WAL for a slot; `null` when it does not say. */
async function slotPosition({ session, server, url }: Streaming, slot: string): Promise<WalPosition | null> {
  if (server.major >= 15) {
    const [row] = await session.rows(`READ_REPLICATION_SLOT ${slot}`);
    const lsn = parseLsn(row?.[1]);
    return lsn === null ? null : { timeline: Number(row?.[2] ?? server.timeline), lsn };
  }
  // Before 15 this protocol cannot tell. A role that may replicate and nothing else goes without.
  const lsn = await withSql(url, {}, (client) => slotLsn(client, slot)).catch(() => null);
  if (lsn === null) return null;
  const timelines = await timelinesOf(session, server.timeline);
  const at = timelines.find(({ endLsn }) => endLsn === null || lsn < (parseLsn(endLsn) ?? 0n));
  return { timeline: at?.timeline ?? server.timeline, lsn };
}

async function slotLsn(client: SqlClient, slot: string): Promise<bigint | null> {
  const text = 'SELECT restart_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1';
  return parseLsn((await oneRow<{ lsn: string | null }>(client, text, [slot]))?.lsn);
}

async function timelinesOf(session: ReplicationSession, newest: number): Promise<TimelineHistory['timelines']> {
  const text = newest > 1 ? await fetchHistory(session, newest) : '';
  return [...parseHistory(text), { timeline: newest, endLsn: null }];
}

async function fetchHistory(session: ReplicationSession, timeline: number): Promise<string> {
  const [row] = await session.rows(`TIMELINE_HISTORY ${timeline}`);
  return row?.[1] ?? '';
}

/** Recovery needs to know where a timeline comes from before it can use any of its WAL: the history is stored first. */
export async function archiveHistory({ session, store }: Streaming, timeline: number): Promise<void> {
  if (timeline === 1) return;
  const text = Buffer.from(await fetchHistory(session, timeline), 'utf8');
  await archiveWal(store.archive, historyName(timeline), bytesContent(text));
}
