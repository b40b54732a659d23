import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintOf, kinds } from './kinds.ts';
import { simulationTests } from './suite.ts';

simulationTests('majority', 10);

/** What long nights have found, and what it was. */
const foundOnce = [
  { seed: 700_635, what: 'readers of a half-written key wait for the node that is cut off, again and again' },
  { seed: 715_159, what: 'the feed tells of a delete that was outbid, once its drives answer too late to rule it out' },
  { seed: 800_618, what: 'the feed leaves out a write whose key was deleted and forgotten since' },
  { seed: 902_019, what: 'a writer is refused when the drive that it gives lost data to falls silent' },
];

for (const { seed, what } of foundOnce) {
  test(`not any more: ${what}`, async () => {
    const result = await kinds.majority(seed);
    assert.equal(result.violation, undefined, complaintOf('majority', result));
  });
}
