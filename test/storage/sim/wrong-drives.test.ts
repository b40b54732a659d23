import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from './kinds.ts';
import { wrongDrives } from './wrong-drives.ts';
import { turnsBitsOver, wrongForObjects } from './wrong-for-objects.ts';

/** A simulation that finds nothing proves something only if it finds these. */
const seeds = 300;

for (const { name, kind, wrap, options } of [...wrongDrives, ...wrongForObjects]) {
  test(`the simulation finds a drive that ${name}`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { violation } = await kinds[kind](seed, { ...options, wrapDrive: wrap });
      if (violation !== undefined) return;
    }
    assert.fail(`not found in ${seeds} runs`);
  });
}

test('a drive whose disk turns bits over does no harm', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { violation } = await kinds.objects(seed, { faults: 0, wrapDrive: turnsBitsOver });
    assert.equal(violation, undefined, `seed ${seed}`);
  }
});
