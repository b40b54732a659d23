import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintOf, type Kind, kinds } from './kinds.ts';

/** Fixed, so that a change that breaks something is seen with that change; other seeds are for the nights. */
const firstSeed = 11_254_296;

/** The tests of one kind of world: `runs` runs that must all be clean, and that a seed means one run. */
export function simulationTests(kind: Kind, runs: number): void {
  test(`${runs} simulated runs of ${kind} from seed ${firstSeed} lose nothing and stay in order`, async () => {
    const complaints: string[] = [];
    for (let seed = firstSeed; seed < firstSeed + runs && complaints.length < 3; seed++) {
      const result = await kinds[kind](seed);
      if (result.violation !== undefined) complaints.push(complaintOf(kind, result));
    }
    assert.deepEqual(complaints, []);
  });

  test(`a run of ${kind} is the same each time it is made from one seed`, async () => {
    for (const seed of [1, 2, 3]) {
      const [once, again, other] = [await kinds[kind](seed), await kinds[kind](seed), await kinds[kind](seed + 1_000)];
      assert.equal(again.digest, once.digest);
      assert.notEqual(other.digest, once.digest);
    }
  });
}
