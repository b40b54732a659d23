import type { VerbDescription } from '../../../workflows/engine/catalogue.ts';
import type { Driver, VerbHandler } from '../../driver.ts';
import { check } from './check.ts';
import { validateProxy } from './config.ts';
import { closed } from './fence.ts';
import { observe } from './observe.ts';
import { confirmOrder, performOrder, type Order } from './order.ts';
import { hold, quiesce } from './quiesce.ts';
import { switchRoute } from './route.ts';
import { open } from './unfence.ts';
import { verify } from './verify.ts';

const reads: VerbDescription = {
  effect: 'read',
  needs: ['nothing'],
  runsAt: 'control',
  estimateSeconds: 0.05,
  withinSeconds: 5,
  undo: null,
  repeatable: true,
};
const changes: VerbDescription = { ...reads, effect: 'change', estimateSeconds: 0.1, withinSeconds: 15 };

function ordering(order: Order, description: VerbDescription): VerbHandler {
  return {
    ...description,
    perform: (input, context) => performOrder(order, input, context),
    confirm: (input, context) => confirmOrder(order, input, context),
  };
}

/** Sends clients to a site, through a reverse proxy with an admin API (`sandbox/entry/admin.ts` is one). */
export const proxyDriver: Driver = {
  kind: 'proxy',
  stateful: false,
  routes: true,
  validate: validateProxy,
  verbs: {
    check: { ...reads, perform: check },
    observe: { ...reads, perform: observe },
    quiesce: { ...ordering(hold, { ...changes, undo: 'unfence' }), perform: quiesce },
    unfence: ordering(open, changes),
    fence: ordering(closed, { ...changes, undo: 'unfence' }),
    route: ordering(switchRoute, changes),
    verify: { ...reads, needs: ['target'], estimateSeconds: 0.5, withinSeconds: 30, perform: verify },
  },
};
