import { blockSeed } from '../../../storage-node/store/block.ts';
import { packedOf } from '../support/packed-page.ts';
import { type DriveApi, type ScanPage, type ScanRow, type SmallShard } from '../../../storage-node/store/drive-api.ts';
import { kernels } from './storage-program.ts';
import { type WrongDrive } from './wrong-drives.ts';

/** Scans that show other rows than there are; only their digests are right. */
function scansOf(
  drive: DriveApi,
  shown: (rows: readonly ScanRow[]) => ScanRow[],
): Pick<DriveApi, 'scan' | 'scanPacked'> {
  const scan = async (...asked: Parameters<DriveApi['scan']>): Promise<ScanPage> => {
    const page = await drive.scan(...asked);
    return { ...page, rows: shown(page.rows) };
  };
  return {
    scan,
    async scanPacked(...asked) {
      const packed = packedOf(await scan(...asked));
      return { ...(await drive.scanPacked(...asked)), ...packed };
    },
  };
}

/** Drives that are wrong in what only listings, the change feed and the bytes of objects show. */
export const wrongForObjects: readonly WrongDrive[] = [
  {
    name: 'leaves out of scans what is not known to be decided',
    kind: 'objects',
    wrap: (drive) => ({
      ...drive,
      ...scansOf(drive, (rows) => rows.filter(({ decided }) => decided)),
    }),
  },
  {
    name: 'shows one key less of each page',
    kind: 'objects',
    wrap: (drive) => ({
      ...drive,
      ...scansOf(drive, (rows) => rows.slice(0, -1)),
    }),
  },
  {
    name: 'does not raise its floor when the change log is read',
    kind: 'objects',
    options: { faultNames: ['lossyWrites', 'slowLinks'], faults: 12, straggling: 0.15 },
    wrap: (drive) => ({ ...drive, raiseFloor: (ballot) => Promise.resolve(ballot) }),
  },
  {
    name: 'writes no change log',
    kind: 'objects',
    wrap: (drive) => ({
      ...drive,
      accept: (request, options) => drive.accept({ ...request, change: undefined }, options),
    }),
  },
  {
    name: 'gives wrong bytes with the right checksum',
    kind: 'objects',
    wrap: (drive) => ({
      ...drive,
      async read(request, options) {
        const reply = await drive.read(request, options);
        return reply.head === undefined ? reply : { ...reply, head: falsified(reply.head, true) };
      },
      readSmall: async (dataIds, options) =>
        (await drive.readSmall(dataIds, options)).map((shard) => falsified(shard, true)),
    }),
  },
];

/** What a cluster must bear: one drive whose disk turns bits over. Checksums tell. */
export function turnsBitsOver(drive: DriveApi, nodeIndex: number): DriveApi {
  if (nodeIndex !== 1) return drive;
  let reads = 0;
  const bad = (): boolean => ++reads % 3 === 0;
  return {
    ...drive,
    async read(request, options) {
      const reply = await drive.read(request, options);
      return reply.head === undefined || !bad() ? reply : { ...reply, head: falsified(reply.head, false) };
    },
    readSmall: async (dataIds, options) =>
      (await drive.readSmall(dataIds, options)).map((shard) => (bad() ? falsified(shard, false) : shard)),
    async readBlocks(request, options) {
      const reply = await drive.readBlocks(request, options);
      if (reply.kind !== 'blocks' || !bad()) return reply;
      const blocks = reply.blocks.map((block) => ({ ...block, payload: turned(block.payload) }));
      return { ...reply, blocks };
    },
  };
}

function turned(payload: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(payload);
  copy[copy.length >> 1]! ^= 0x10;
  return copy;
}

function falsified(shard: SmallShard, withChecksum: boolean): SmallShard {
  if (shard.kind !== 'shard') return shard;
  const payload = turned(shard.payload);
  // The middle of a small object's shard may be padding, which nobody reads.
  payload[0]! ^= 1;
  const checksum = withChecksum ? kernels.xxh64Of(payload, blockSeed(shard.dataId, shard.shard, 0)) : shard.checksum;
  return { ...shard, payload, checksum };
}
