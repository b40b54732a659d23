import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuardedDatabase, HeldLease } from '../../../activities/guard/database.ts';

/** What the guard has told the "server", which outlives the guard's process. Times are of `hostMs`. */
interface Server {
  running: boolean;
  open: boolean;
  epoch: number;
  endsAtMs: number;
}
/** What the test makes of the database. */
export interface World {
  role: 'primary' | 'standby';
  /** Names of calls that do not come back. */
  hanging: string[];
}

/** The system's monotonic clock, the same in every process, which no test can bend. */
export function hostMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export function readServer(dir: string): Server {
  if (!existsSync(`${dir}/server.json`)) return { running: true, open: false, epoch: 0, endsAtMs: 0 };
  return JSON.parse(readFileSync(`${dir}/server.json`, 'utf8')) as Server;
}
function readWorld(dir: string): World {
  return JSON.parse(readFileSync(`${dir}/world.json`, 'utf8')) as World;
}
export function writeWorld(dir: string, world: World): void {
  writeWhole(`${dir}/world.json`, world);
}

/** Whether a client's write would be taken now: the database checks the lease itself. */
export function isWritable(dir: string): boolean {
  const { running, open, endsAtMs } = readServer(dir);
  return readWorld(dir).role === 'primary' && running && open && hostMs() <= endsAtMs;
}

function writeWhole(path: string, content: unknown): void {
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(content));
  renameSync(`${path}.${process.pid}`, path);
}

/** A database in a file, so that it stays as it is when its guard dies. */
export function fileDatabase(dir: string): GuardedDatabase {
  const call = async (name: string): Promise<void> => {
    while (readWorld(dir).hanging.includes(name)) await sleep(20);
  };
  const change = (part: Partial<Server>): void => writeWhole(`${dir}/server.json`, { ...readServer(dir), ...part });
  const tell = ({ epoch, remainingMs, endsAtUnixMs = 0 }: HeldLease): void => {
    if (!readServer(dir).running || readWorld(dir).role !== 'primary') throw new Error('it is no running primary');
    change({ open: true, epoch, endsAtMs: hostMs() + Math.min(remainingMs, endsAtUnixMs - Date.now()) });
  };
  return {
    async role() {
      await call('role');
      return readServer(dir).running ? readWorld(dir).role : 'stopped';
    },
    async open(lease) {
      await call('open');
      tell(lease);
    },
    async renew(lease) {
      await call('renew');
      if (!readServer(dir).open) throw new Error('it is not open');
      tell(lease);
    },
    async close() {
      await call('close');
      change({ open: false, endsAtMs: 0 });
      return { finalLsn: '0/3000148' };
    },
    async stop() {
      await call('stop');
      change({ running: false, open: false, endsAtMs: 0 });
    },
    async start() {
      await call('start');
      change({ running: true, open: false, endsAtMs: 0 });
    },
  };
}
