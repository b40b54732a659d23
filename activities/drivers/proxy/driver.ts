import type { VerbDescription } from '../../../workflows/engine/catalogue.ts';
import type { Driver, VerbHandler } from '../../driver.ts';
import { check } from './check.ts';
import { proxyDescription, proxyVerbs } from './description.ts';
import { closed } from './fence.ts';
import { observe } from './observe.ts';
import { confirmOrder, performOrder, type Order } from './order.ts';
import { hold, quiesce } from './quiesce.ts';
import { switchRoute } from './route.ts';
import { open } from './unfence.ts';
import { verify } from './verify.ts';

function ordering(order: Order, description: VerbDescription): VerbHandler {
  return {
    ...description,
    perform: (input, context) => performOrder(order, input, context),
    confirm: (input, context) => confirmOrder(order, input, context),
  };
}

/** Sends clients to a site, through a reverse proxy with an admin API (`sandbox/entry/admin.ts` is one). */
export const proxyDriver: Driver = {
  ...proxyDescription,
  verbs: {
    check: { ...proxyVerbs.check, perform: check },
    observe: { ...proxyVerbs.observe, perform: observe },
    quiesce: { ...ordering(hold, proxyVerbs.quiesce), perform: quiesce },
    unfence: ordering(open, proxyVerbs.unfence),
    fence: ordering(closed, proxyVerbs.fence),
    route: ordering(switchRoute, proxyVerbs.route),
    verify: { ...proxyVerbs.verify, perform: verify },
  },
};
