import { type Ballot } from '../../../storage-node/consensus/ballot.ts';
import {
  type AcceptReply,
  type AcceptRequest,
  type BucketGuard,
  bucketIdBytes,
  compareSiteStates,
  type DriveApi,
  DriveUnavailable,
  type HeldRegister,
  type IndexKey,
  type LearnRequest,
  type LogRow,
  type PreparedRegister,
  type ScanDigest,
  type ScanPage,
  type ScanRequest,
  type ScanRow,
  type ShardBlock,
  type ShardPut,
  type SiteState,
  type SmallShard,
} from '../../../storage-node/store/drive-api.ts';
import { packedOf } from './packed-page.ts';

interface Row extends PreparedRegister {
  key: Uint8Array;
  frees: Map<string, Uint8Array>;
}
interface Stored {
  shard: number;
  small: boolean;
  blocks: ShardBlock[];
}

/** A drive in memory: the rules of a drive in their shortest form, for tests of what is built on drives. */
export interface MemoryDrive extends DriveApi {
  /** Every call fails as if the drive were gone. */
  down: boolean;
  /** Called before each call; may wait or throw. */
  before: (method: string) => Promise<void> | void;
  readonly rows: Map<string, Row>;
  readonly data: Map<string, Stored>;
  /** What no register names yet. */
  readonly staged: Map<string, Stored>;
  /** What a restart takes away: promises (kept as a floor) and staged data. */
  restart(): void;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const empty = new Uint8Array(0);

export function createMemoryDrive(driveId = 'memory'): MemoryDrive {
  const rows = new Map<string, Row>();
  const data = new Map<string, Stored>();
  const staged = new Map<string, Stored>();
  const promises = new Map<string, Ballot>();
  const guards = new Map<string, BucketGuard>();
  let log: LogRow[] = [];
  let floor: Ballot = 0;
  let highest: Ballot = 0;
  let site: SiteState = { epoch: 0, fenced: false, leased: false };

  const promisedOf = (key: string): Ballot => Math.max(floor, promises.get(key) ?? 0);
  const heldOf = (key: IndexKey): PreparedRegister => {
    const row = rows.get(text(key));
    if (row !== undefined) {
      const { ballot, decided, tombstone, hidden, state, headData, note, older } = row;
      return { ballot, decided, tombstone, hidden, state, headData, note, older };
    }
    return { ...absent };
  };
  const take = (puts: readonly ShardPut[]): boolean => {
    if (puts.some((put) => put.kind === 'staged' && !staged.has(text(put.dataId)) && !data.has(text(put.dataId)))) {
      return false;
    }
    for (const put of puts) {
      const id = text(put.dataId);
      if (put.kind === 'small') {
        const block = { index: 0, payload: Uint8Array.from(put.payload), checksum: put.checksum };
        data.set(id, { shard: put.shard, small: true, blocks: [block] });
      } else if (staged.has(id)) {
        data.set(id, staged.get(id)!);
        staged.delete(id);
      }
    }
    return true;
  };
  const store = (request: AcceptRequest | LearnRequest, decided: boolean): void => {
    const id = text(request.key);
    const frees = new Map(rows.get(id)?.decided === true ? [] : rows.get(id)?.frees);
    for (const free of request.frees) frees.set(text(free), free);
    for (const kept of [...request.keeps, ...request.puts.map((put) => put.dataId)]) frees.delete(text(kept));
    const { ballot, tombstone, hidden, state, headData } = request;
    const older = 'base' in request && !decided ? layersUnder(rows.get(id), request) : [];
    for (const entry of log) {
      if ('base' in request && entry.ballot === request.base && text(entry.key) === id) entry.decided = true;
    }
    log = log.filter((row) => text(row.key) !== id || !request.cancels.includes(row.ballot));
    if (request.change !== undefined) {
      log.push({ key: Uint8Array.from(request.key), ballot, note: request.change.note, decided });
      log.sort((a, b) => a.ballot - b.ballot);
    }
    const note = request.change?.note;
    rows.set(id, {
      ...{ key: Uint8Array.from(request.key), ballot, decided, tombstone, hidden, state: Uint8Array.from(state) },
      ...{ headData, note, frees, older },
    });
    highest = Math.max(highest, ballot);
    if (decided) release(rows.get(id)!);
  };
  const release = (row: Row): void => {
    row.decided = true;
    row.older = [];
    for (const id of row.frees.keys()) data.delete(id);
    row.frees.clear();
    for (const entry of log) if (entry.ballot === row.ballot && text(entry.key) === text(row.key)) entry.decided = true;
  };
  const accept = (request: AcceptRequest): AcceptReply => {
    const id = text(request.key);
    if (request.fromClient && (site.fenced || request.siteEpoch < site.epoch)) {
      const why = site.fenced ? 'fenced' : 'old-epoch';
      return { kind: 'fenced', siteEpoch: site.epoch, fenced: site.fenced, why };
    }
    const guard = guards.get(text(request.key.subarray(0, bucketIdBytes)));
    if (guard !== undefined && request.fromClient && (guard.sealed || request.bucketGeneration < guard.generation)) {
      return { kind: 'bucket-changed', generation: guard.generation, sealed: guard.sealed };
    }
    const held = rows.get(id)?.ballot ?? 0;
    if (held === request.ballot) return { kind: 'accepted' };
    const own = promises.get(id) ?? 0;
    if (request.ballot < own || request.ballot <= floor || request.ballot < held) {
      return { kind: 'outbid', promised: Math.max(promisedOf(id), held) };
    }
    if (!take(request.puts)) return { kind: 'no-data' };
    promises.set(id, request.ballot);
    store(request, false);
    return { kind: 'accepted' };
  };
  const small = (dataId: Uint8Array): SmallShard => {
    const stored = data.get(text(dataId));
    const block = stored?.blocks[0];
    if (stored === undefined || block === undefined) return { kind: 'missing', dataId };
    return { kind: 'shard', dataId, shard: stored.shard, payload: block.payload, checksum: block.checksum };
  };

  const call = async <T>(method: string, run: () => T): Promise<T> => {
    await drive.before(method);
    if (drive.down) throw new DriveUnavailable(`${driveId} is down`);
    return run();
  };
  const drive: MemoryDrive = {
    down: false,
    before: () => {},
    rows,
    data,
    staged,
    restart() {
      floor = Math.max(floor, highest, ...promises.values());
      promises.clear();
      staged.clear();
    },
    read: (request) =>
      call('read', () => {
        const held = heldOf(request.key);
        const head = request.withHead && held.headData !== undefined ? small(held.headData) : undefined;
        return { ...held, head };
      }),
    prepare: ({ key, ballot }) =>
      call('prepare', () => {
        const id = text(key);
        const register = heldOf(key);
        const promised = Math.max(promisedOf(id), register.ballot);
        if (ballot <= promised) return { kind: 'outbid', promised, register };
        promises.set(id, ballot);
        return { kind: 'promised', register };
      }),
    accept: (request) => call('accept', () => accept(request)),
    decide(requests) {
      void call('decide', () => {
        for (const { key, ballot } of requests) {
          const row = rows.get(text(key));
          if (row?.ballot === ballot && !row.decided) release(row);
        }
      }).catch(() => {});
    },
    learn: (request) =>
      call('learn', () => {
        const held = rows.get(text(request.key))?.ballot ?? 0;
        if (held > request.ballot) return { kind: 'newer', ballot: held };
        if (!take(request.puts)) return { kind: 'no-data' };
        store(request, true);
        return { kind: 'learned' };
      }),
    stage({ dataId, shard }) {
      const stored: Stored = { shard, small: false, blocks: [] };
      let gone = false;
      return {
        onProgress: undefined,
        queuedBytes: 0,
        write({ index, payload, checksum }, done) {
          stored.blocks.push({ index, payload: Uint8Array.from(payload), checksum });
          done();
        },
        finish: () =>
          call('stage', () => {
            if (!gone) staged.set(text(dataId), stored);
          }),
        abort() {
          gone = true;
          staged.delete(text(dataId));
        },
      };
    },
    unstage: (dataId) => call('unstage', () => void staged.delete(text(dataId))),
    readSmall: (dataIds) => call('readSmall', () => dataIds.map(small)),
    readBlocks: ({ dataId, first, count }) =>
      call('readBlocks', () => {
        const stored = data.get(text(dataId));
        if (stored === undefined) return { kind: 'missing' };
        const blocks = stored.blocks.slice(first, first + count);
        return { kind: 'blocks', shard: stored.shard, blocks, release: () => {} };
      }),
    pin: () => ({ release: () => {} }),
    checkData: (dataIds) =>
      call('checkData', () =>
        dataIds.map((id) => (data.has(text(id)) ? 'ok' : staged.has(text(id)) ? 'staged' : 'missing')),
      ),
    repair: ({ key, ballot, puts }) => call('repair', () => rows.get(text(key))?.ballot === ballot && take(puts)),
    scan: (request) => call('scan', () => scan(rows, request)),
    scanDigest: (request) => call('scanDigest', () => digestOf(scan(rows, request))),
    scanPacked: (request) =>
      call('scanPacked', () => {
        const page = scan(rows, request);
        return { ...digestOf(page), ...packedOf(page) };
      }),
    log: ({ bucketId, after, upTo, limit }) =>
      call('log', () =>
        log
          .filter((row) => text(row.key.subarray(0, bucketIdBytes)) === text(bucketId))
          .filter((row) => row.ballot > after && row.ballot <= upTo)
          .slice(0, limit)
          .map((row) => ({ ...row })),
      ),
    raiseFloor: (ballot) =>
      call('raiseFloor', () => {
        floor = Math.max(floor, ballot);
        return floor;
      }),
    forget: ({ key, ballot }) =>
      call('forget', () => {
        const row = rows.get(text(key));
        if (row?.ballot !== ballot || !row.tombstone) return false;
        floor = Math.max(floor, ballot);
        return rows.delete(text(key));
      }),
    siteState: () => call('siteState', () => ({ ...site })),
    setSiteState: (state) =>
      call('setSiteState', () => {
        if (compareSiteStates(state, site) >= 0) site = { ...state };
        return { ...site };
      }),
    guardBucket: (guard) =>
      call('guardBucket', () => {
        const known = guards.get(text(guard.bucketId));
        if (known === undefined || guard.generation >= known.generation) guards.set(text(guard.bucketId), { ...guard });
        return { ...guards.get(text(guard.bucketId))! };
      }),
    stat: () =>
      call('stat', () => ({
        ...{ driveId, state: 'ok' as const, reason: undefined, totalBytes: 1, freeBytes: 1, indexBytes: 0 },
        ...{ segmentBytes: 0, liveBytes: 0, registers: rows.size, quarantined: 0 },
        undecided: [...rows.values()].filter((row) => !row.decided).length,
      })),
  };
  return drive;
}

const absent: PreparedRegister = {
  ballot: 0,
  decided: false,
  tombstone: false,
  hidden: false,
  state: empty,
  headData: undefined,
  note: undefined,
  older: [],
};

/** What lies under a value that is accepted now. */
function layersUnder(before: Row | undefined, request: AcceptRequest): HeldRegister[] {
  if (before === undefined) return [];
  const older: HeldRegister[] = [];
  for (const one of [before, ...before.older]) {
    if (one.ballot < request.base) break;
    if (request.cancels.includes(one.ballot)) continue;
    const { ballot, tombstone, hidden, state, headData, note } = one;
    const decided = one.decided || ballot === request.base;
    older.push({ ballot, decided, tombstone, hidden, state, headData, note });
    if (decided) break;
  }
  return older;
}

function digestOf(page: ScanPage): ScanDigest {
  const parts = [...page.rows.map((row) => `${text(row.key)}@${row.ballot}`), ...page.rollups.map(text)];
  return {
    digest: Buffer.from(parts.join('\n')),
    rows: page.rows.length,
    next: page.next,
    undecided: page.rows.some((row) => !row.decided),
  };
}

function scan(rows: ReadonlyMap<string, Row>, request: ScanRequest): ScanPage {
  const prefix = text(request.prefix);
  const delimiter = request.delimiter === undefined ? undefined : text(request.delimiter);
  const after = request.after === undefined ? undefined : text(request.after);
  const page: ScanPage = { rows: [], rollups: [], next: undefined };
  const latin = (value: string): Uint8Array => Buffer.from(value, 'latin1');
  const keys = [...rows.keys()].filter((key) => key.startsWith(prefix) && (after === undefined || key > after)).sort();
  let rolled: string | undefined;
  for (const key of keys) {
    if (rolled !== undefined && key.startsWith(rolled)) continue;
    const { decided, ballot, tombstone, hidden, state } = rows.get(key)!;
    if (decided && ((request.skipTombstones && tombstone) || (request.skipHidden && hidden))) continue;
    const at = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
    const rollup = at < 0 ? undefined : key.slice(0, at + delimiter!.length);
    if (rollup !== undefined && after !== undefined && after.startsWith(rollup)) continue;
    if (page.rows.length + page.rollups.length === request.limit) return page;
    if (rollup === undefined) {
      page.rows.push({ key: latin(key), ballot, decided, tombstone, hidden, state } satisfies ScanRow);
      page.next = latin(key);
    } else {
      rolled = rollup;
      page.rollups.push(latin(rollup));
      page.next = latin(rollup);
    }
  }
  page.next = undefined;
  return page;
}
