import { missingMode, type Order } from './order.ts';

/** Nothing passes the entry: what waits is refused, what was under way is broken off, and none of it is left. */
export const closed: Order = {
  path: '/admin/mode',
  body: ({ plan }) => ({ mode: 'closed', epoch: plan.epoch }),
  missing: (view, input) => {
    const inFlight = Object.values(view.inFlight).reduce((sum, count) => sum + count, 0);
    return missingMode(view, 'closed', input) ?? (inFlight === 0 ? null : `${inFlight} requests are still under way`);
  },
};
