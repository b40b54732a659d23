import type { Order } from './order.ts';

/** Every client reaches the run's new site and no other, by order of the run's epoch. */
export const switchRoute: Order = {
  path: '/admin/route',
  body: ({ plan, token }) => ({ epoch: plan.epoch, site: plan.to, token }),
  missing: (view, { plan }) => {
    if (view.epoch < plan.epoch) return `the entry is at epoch ${view.epoch}, not yet at ${plan.epoch}`;
    if (view.route !== plan.to) return `the entry leads to ${view.route ?? 'nobody'}`;
    const elsewhere = view.upstreams.find(({ site, weight }) => weight > 0 && site !== plan.to);
    if (elsewhere !== undefined) return `${elsewhere.site} still has a weight of ${elsewhere.weight}`;
    return view.mode === 'open' ? null : `the entry is ${view.mode}`;
  },
};
