import { openDrive } from '../../../storage-node/store/drive.ts';
import { createSimDisk, type DiskOperation } from '../support/sim-file-system.ts';
import { createSimIndex } from '../support/sim-index.ts';
import { type DiskFaults, type SimDisk } from './cluster.ts';
import { type Random } from './random.ts';
import { kernels } from './storage-program.ts';

/** How long what must reach the disk takes, milliseconds. */
const syncMs = { from: 0.2, to: 4 };
/** Room left by a disk that is about to be full, bytes. */
const littleBytes = 20_000;
const pageBytes = 512;

/** The drive as it is in production, on a disk that loses what was not synced, tears, fails, fills up and rots. */
export function createDriveDisk(name: string, random: Random): SimDisk {
  const disk = createSimDisk(random.next);
  const index = createSimIndex(disk, random.next);
  const failing = new Set<DiskOperation>();
  let asked: DiskOperation = 'open';
  disk.fault = (operation) => {
    asked = operation;
    if (failing.has(operation)) throw Object.assign(new Error(`EIO: ${operation}`), { code: 'EIO' });
  };
  const segments = (): string[] => disk.paths().filter((path) => path.includes('/segments/'));
  const faults: DiskFaults = {
    failSyncs() {
      for (const operation of ['sync', 'sync-index', 'sync-directory'] as const) failing.add(operation);
    },
    failReads: () => void failing.add('read'),
    fillUp() {
      const used = segments().reduce((sum, path) => sum + disk.content(path).length, 0);
      disk.capacityBytes = used + littleBytes;
    },
    mend() {
      failing.clear();
      disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    },
    rot(chance) {
      const contents = segments().map((path) => disk.content(path));
      const content = contents.length === 0 ? undefined : chance.pick(contents);
      if (content === undefined || content.length < pageBytes * 2) return;
      damage(content, chance);
    },
  };
  return {
    faults,
    open(env) {
      disk.delay = () => {
        if (!asked.startsWith('sync')) return undefined;
        const waitMs = syncMs.from + random.next() ** 2 * syncMs.to;
        return new Promise((resolve) => {
          env.clock.setTimer(waitMs, resolve);
        });
      };
      return openDrive({
        ...{ name, driveId: name, directory: `/${name}`, env, files: disk.files, index: index.open() },
        ...{ hasher: kernels, memory: kernels.arena, reserveBytes: 1_000 },
      });
    },
    crash() {
      disk.crash();
      index.crash();
    },
  };
}

/** A bit turned over, a page lost, or two pages in each other's place. */
function damage(content: Buffer, random: Random): void {
  const pages = Math.floor(content.length / pageBytes);
  const page = (): Buffer => {
    const at = random.between(0, pages - 1) * pageBytes;
    return content.subarray(at, at + pageBytes);
  };
  const [one, other] = [page(), page()];
  const kind = random.pick(['bit', 'lost', 'swapped'] as const);
  if (kind === 'bit') one[random.between(0, pageBytes - 1)]! ^= 1 << random.between(0, 7);
  else if (kind === 'lost') one.fill(0);
  else {
    const kept = Buffer.from(one);
    other.copy(one);
    kept.copy(other);
  }
}
