/** How long a look at a key waits for drives that could tell more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHedgeBudget } from '../../../storage-node/consensus/hedge.ts';
import { look, type Look } from '../../../storage-node/consensus/look.ts';
import { type DriveApi } from '../../../storage-node/store/drive-api.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { acceptOf, keyOf, put } from '../store/requests.ts';
import { memoryDrives, realClock, setOf } from '../support/memory-set.ts';

const key = keyOf('half written');
const ballot = 1_000;

/** Two of four drives have accepted a value; `last` is the drive that could tell whether a third one has. */
async function halfWritten(
  last: (drive: DriveApi) => DriveApi,
): Promise<{ set: ErasureSet; lookNow: () => Promise<Look> }> {
  const drives = memoryDrives(4);
  for (const drive of [drives[0]!, drives[1]!]) await put(drive, acceptOf(key, ballot));
  const set = setOf(drives, 0, (drive, position) => (position === 3 ? last(drive) : drive));
  const options = { clock: realClock, deadlineMs: 3_600_000, hedges: createHedgeBudget() };
  return { set, lookNow: () => look(set, { key, withHead: false }, options) };
}

const says = (drive: DriveApi, read: DriveApi['read']): DriveApi =>
  Object.assign(Object.create(drive) as DriveApi, { read });

test('a drive that becomes suspect is not waited for until the deadline', { timeout: 30_000 }, async () => {
  const { set, lookNow } = await halfWritten((drive) => says(drive, () => new Promise(() => {})));
  const looked = lookNow();
  setTimeout(() => Object.assign(set.drives[3]!.health, { suspect: true }), 30);
  const { judgement, replies } = await looked;
  assert.equal(judgement?.kind, 'maybe');
  assert.equal(replies.length, 3);
});

test('a drive that is slow and not suspect is waited for, and tells', async () => {
  const { lookNow } = await halfWritten((drive) =>
    says(drive, async (request) => {
      const reply = await drive.read(request);
      await new Promise((resolve) => {
        setTimeout(resolve, 200);
      });
      return reply;
    }),
  );
  const { judgement } = await lookNow();
  assert.deepEqual([judgement?.kind, judgement?.ballot], ['value', 0]);
});
