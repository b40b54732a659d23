import { missingMode, type Order } from './order.ts';

/** Requests pass again, to the site that the entry had before: the way is not changed. */
export const open: Order = {
  path: '/admin/mode',
  body: ({ plan }) => ({ mode: 'open', epoch: plan.epoch }),
  missing: (view, input) => missingMode(view, 'open', input),
};
