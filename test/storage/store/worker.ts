/**
 * Writes to a drive in a directory until it is killed, and says what was acknowledged: one line per value, `key ballot`.
 * Run by `kill.test.ts`.
 */
import { writeSync } from 'node:fs';
import { ballotAt } from '../../../storage-node/consensus/ballot.ts';
import { openDrive } from '../../../storage-node/store/drive.ts';
import { openLmdbIndex } from '../../../storage-node/store/lmdb-index.ts';
import { realFileSystem } from '../../../storage-node/store/real-file-system.ts';
import { systemEnv } from '../../../storage-node/system-env.ts';
import { acceptOf, dataIdOf, kernels, keyOf, small, stage } from './requests.ts';

const directory = process.argv[2]!;
const life = Number(process.argv[3]);
const drive = await openDrive({
  ...{ name: 'worker', driveId: 'drive-1', directory, env: systemEnv, files: realFileSystem, hasher: kernels },
  ...{ index: openLmdbIndex(directory), memory: kernels.arena, reserveBytes: 0 },
});
let tick = ballotAt(1_800_000_000_000 + life * 3_600_000);
let data = life * 100_000;

async function lane(number: number): Promise<void> {
  for (let i = 0; ; i++) {
    const key = keyOf(`lane-${number}-${i % 10}`);
    const ballot = ++tick;
    const id = dataIdOf(++data);
    const large = i % 7 === 0;
    if (large) await stage(drive, id, [20_000, 20_000, 99]);
    const puts = [large ? { kind: 'staged' as const, dataId: id } : small(id, 1_000)];
    // The data id is the state, so that whoever looks knows what has to be there.
    const reply = await drive.accept(acceptOf(key, ballot, { puts, state: Buffer.from(id) }));
    if (reply.kind !== 'accepted') throw new Error(`not accepted: ${reply.kind}`);
    writeSync(1, `${key.toString('latin1', 9)} ${ballot}\n`);
    drive.decide([{ key, ballot }]);
    if (i % 50 === 0) await drive.settleMarks();
  }
}

await Promise.all([1, 2, 3, 4].map(lane));
