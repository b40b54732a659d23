import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSiteFence, type SiteFence } from '../../../storage-node/site-fence.ts';
import { compareSiteStates, type SiteLease, type SiteState } from '../../../storage-node/store/drive-api.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, seeded, setOf, testEnv } from '../support/memory-set.ts';

const fencedAt = (epoch: number): SiteState => ({ epoch, fenced: true, leased: false });
const openAt = (epoch: number): SiteState => ({ epoch, fenced: false, leased: false });
const leasedAt = (epoch: number): SiteState => ({ epoch, fenced: false, leased: true });

interface Site {
  fence: SiteFence;
  drives: MemoryDrive[];
  /** What the node's own drive was told last. */
  told: () => SiteLease | undefined;
  announced: () => number;
  pass: (ms: number) => void;
}

function makeSite(size = 4): Site {
  const drives = memoryDrives(size);
  const env = testEnv(seeded(7));
  let nowMs = 1_000;
  let told: SiteLease | undefined;
  let announced = 0;
  const clock = { ...env.clock, monotonicMs: () => nowMs };
  const own = { ...drives[0]!, lease: (lease: SiteLease | undefined) => void (told = lease) };
  const fence = createSiteFence({
    ...{ env: { ...env, clock }, sets: [setOf(drives, 0)], own: [own], deadlineMs: 200 },
    announce: () => void (announced += 1),
  });
  return {
    ...{ fence, drives, told: () => told, announced: () => announced },
    pass: (ms) => void (nowMs += ms),
  };
}

const refused = { name: 'StorageError', code: 'InvalidArgument' };

test('states of a site are ordered by epoch, then fenced, open, leased', () => {
  const inOrder = [fencedAt(1), openAt(1), leasedAt(1), fencedAt(2), openAt(2), leasedAt(2)];
  for (const [i, a] of inOrder.entries())
    for (const [j, b] of inOrder.entries()) assert.equal(Math.sign(compareSiteStates(a, b)), Math.sign(i - j));
});

for (const [what, before, after, taken] of [
  ['a newer fence', openAt(1), fencedAt(2), true],
  ['an opening at the epoch of the fence', fencedAt(2), leasedAt(2), true],
  ['the same once more', leasedAt(2), leasedAt(2), true],
  ['a late fence of the epoch that was opened', leasedAt(2), fencedAt(2), false],
  ['an opening of an older epoch', fencedAt(3), openAt(2), false],
] as const) {
  test(`${what} is ${taken ? 'taken' : 'refused, naming what the site is'}`, async () => {
    const { fence, announced } = makeSite();
    await fence.set(before);
    if (taken) assert.deepEqual(await fence.set(after), after);
    else await assert.rejects(fence.set(after), { ...refused, message: /^the site is .* at epoch \d/ });
    const { confirmedSets, sets, ...state } = await fence.read();
    assert.deepEqual([state, confirmedSets, sets], [taken ? after : before, 1, 1]);
    assert.equal(announced(), taken ? 2 : 1);
  });
}

test('a lease runs out by itself, is renewed, and is taken back', async () => {
  const { fence, told, pass } = makeSite();
  await fence.set(leasedAt(5));
  assert.deepEqual(await fence.lease(5, 400), { epoch: 5, remainingMs: 400 });
  assert.deepEqual(told(), { epoch: 5, endsAtMs: 1_400 });
  pass(300);
  assert.equal(fence.held().remainingMs, 100);
  assert.equal((await fence.lease(5, 400)).remainingMs, 400);
  pass(500);
  assert.equal(fence.held().remainingMs, 0);
  assert.equal((await fence.lease(5, 400)).remainingMs, 400);
  assert.equal((await fence.lease(5, 0)).remainingMs, 0);
  assert.equal(told(), undefined);
});

for (const [what, state] of [
  ['fenced', fencedAt(5)],
  ['open without leases', openAt(5)],
  ['at a newer epoch', leasedAt(6)],
] as const) {
  test(`no lease is taken while the site is ${what}`, async () => {
    const { fence, told } = makeSite();
    await fence.set(state);
    await assert.rejects(fence.lease(5, 400), { ...refused, message: /takes no lease of epoch 5/ });
    assert.equal(told(), undefined);
  });
}

test('a drive that was away when the site was opened learns it with its first lease', async () => {
  const { fence, drives } = makeSite();
  const [own] = drives;
  await fence.set(fencedAt(4));
  own!.down = true;
  await fence.set(leasedAt(4));
  own!.down = false;
  assert.deepEqual(await own!.siteState(), fencedAt(4));
  await fence.lease(4, 400);
  assert.deepEqual(await own!.siteState(), leasedAt(4));
});

test('a state that too few drives confirm is no state', async () => {
  const { fence, drives } = makeSite();
  for (const drive of drives.slice(2)) drive.down = true;
  await assert.rejects(fence.set(fencedAt(2)), { name: 'StorageError', code: 'WriteQuorumLost' });
});
