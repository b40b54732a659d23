/** A mover in a process of its own, so that it can be killed: reads its orders from the environment. */
import { openLmdbLedger } from '../../../activities/mover/ledger/lmdb-ledger.ts';
import { usualPassRule } from '../../../activities/mover/run/pass.ts';
import { runPass } from '../../../activities/mover/run/run-pass.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import { type ObjectPlace } from '../../../activities/objects/place.ts';

const orders = JSON.parse(process.env['MOVER_ORDERS']!) as {
  source: ObjectPlace;
  target: ObjectPlace;
  state: string;
  partBytes: number;
};
await using source = openObjects(orders.source);
await using target = openObjects(orders.target);
await using ledger = openLmdbLedger(orders.state);
const { copy } = usualPassRule;
const result = await runPass({
  source: { client: source, prefix: '' },
  target: { client: target, prefix: '' },
  rule: { ...usualPassRule, copy: { ...copy, partBytes: orders.partBytes, multipartBytes: orders.partBytes } },
  ledger,
}).finished;
process.stdout.write(JSON.stringify(result));
