import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftOut } from '../../support/long.ts';
import { assertOneMind, nodes, startLoad, startWithBucket } from './support/hot-load.ts';
import { type Cut } from './support/network.ts';
import { whyNoRelays } from './support/relayed-cluster.ts';

const skip = whyNoRelays() ?? false;
/** To be refused at once is what a node meets least, and survives most easily. */
const ways: { how: Cut; mark: string; skip: string | false }[] = [
  { how: 'silent', mark: '', skip },
  { how: 'broken', mark: ' (long)', skip: skip || leftOut },
];

for (const { how, mark, skip: skipped } of ways) {
  test(
    `a node that is cut off (${how}) refuses, the others go on, and all agree after healing${mark}`,
    { skip: skipped },
    async () => {
      const { cluster, clients } = await startWithBucket();
      await using _ = cluster;
      const load = startLoad(clients);
      await load.answers(nodes, 10);
      cluster.network.partition([[3], [0, 1, 2]], how);
      // What was under way may still be answered; then nothing is.
      await load.errors([3], 2);
      const answered = load.hot.answered.get('c3');
      await Promise.all([load.errors([3], 2), load.answers([0, 1, 2], 20)]);
      assert.equal(load.hot.answered.get('c3'), answered, 'one of four neither reads nor writes');
      cluster.network.heal();
      await load.answers(nodes, 10);
      await load.stop();
      await assertOneMind(clients, load.hot);
      load.hot.assertLinearizable();
      // Of a write that others overtook again and again, while it waited for the fourth, the outcome may be unknown.
      const failures = [0, 1, 2].flatMap((node) => load.hot.errors.get(`c${node}`) ?? []);
      for (const error of failures) assert.match(error, /it is not known whether this write took effect/);
      for (const error of load.hot.errors.get('c3') ?? []) assert.match(error, /ServiceUnavailable|aborted/);
    },
  );
}
