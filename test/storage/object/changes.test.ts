/** What the change log tells of writes of which its drives do not know whether they took effect. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createBallotClock } from '../../../storage-node/consensus/ballot.ts';
import { type Changed, type Registers } from '../../../storage-node/consensus/registers.ts';
import { encodeChange } from '../../../storage-node/object/change-codec.ts';
import { readChanges } from '../../../storage-node/object/changes.ts';
import { type Bucket } from '../../../storage-node/object/model.ts';
import { type DriveApi, DriveUnavailable, type LogRow } from '../../../storage-node/store/drive-api.ts';
import { scriptedDrive } from '../rpc/scripted-drive.ts';
import { keyOf } from '../store/requests.ts';
import { realClock, seeded, setOf, testEnv } from '../support/memory-set.ts';

const ballot = 1_000_000;
const bucket = { id: '0000000000000001', name: 'b' } as Bucket;
const facts = { kind: 'put', atMs: 1, sizeBytes: 1, etag: '0'.repeat(32), versionId: 'null' } as const;

/** The row of the write in question, or none. */
type Row = 'decided' | 'open' | 'none';
const rowsOf = (row: Row): LogRow[] =>
  row === 'none' ? [] : [{ key: keyOf('a'), ballot, note: encodeChange(facts), decided: row === 'decided' }];

function driveWith(row: Row, delayMs = 0): DriveApi {
  const log = (): Promise<LogRow[]> =>
    new Promise((resolve) => {
      setTimeout(() => resolve(rowsOf(row)), delayMs);
    });
  return scriptedDrive({ raiseFloor: (floor) => Promise.resolve(floor), log });
}

const dead = scriptedDrive({ raiseFloor: () => Promise.reject(new DriveUnavailable('gone')) });

/** @param current ballot of the key's value after the round that settles it; 0: deleted, and forgotten */
async function told(drives: readonly DriveApi[], current: number): Promise<boolean> {
  const env = testEnv(seeded(1));
  const value = { ballot: current, tombstone: current === 0, hidden: false, state: new Uint8Array(0), heads: [] };
  const registers = {
    change: () => Promise.resolve({ ballot: current, current: value, changed: false } satisfies Changed),
  } as unknown as Registers;
  const deps = {
    env,
    sets: [setOf(drives, 0)],
    registers,
    ballots: createBallotClock(0, realClock),
    deadlineMs: 10_000,
  };
  const { changes } = await readChanges(deps, bucket, { after: 0, limit: 10, waitMs: 0 });
  return changes.length === 1;
}

describe('a write that is not the value of its key any more', () => {
  const late = 100;
  for (const [how, current] of Object.entries({ superseded: ballot + 1, 'deleted and forgotten': 0 })) {
    test(`${how}: is told when a drive that is slow to answer knows that it took effect`, async () => {
      const drives = [driveWith('open'), driveWith('none'), driveWith('decided', late), driveWith('open', late)];
      assert.equal(await told(drives, current), true);
    });
    test(`${how}: is not told when the slow ones show that it cannot have`, async () => {
      const drives = [driveWith('open'), driveWith('none'), driveWith('open', late), driveWith('none', late)];
      assert.equal(await told(drives, current), false);
    });
    test(`${how}: is told when drives that are gone may have made it take effect`, async () => {
      assert.equal(await told([driveWith('open'), driveWith('open'), driveWith('none'), dead], current), true);
    });
  }
});

test('a write that became the value of its key by the round that settled it is told', async () => {
  assert.equal(await told([driveWith('open'), driveWith('none'), driveWith('none'), driveWith('none')], ballot), true);
});
