import { ApplicationFailure, patched, proxyActivities } from '@temporalio/workflow';
import type { Aim, Protected, Vault } from './engine/protection.ts';

type Activities = Record<'aim at writer', (of: Pick<Protected, 'service' | 'site'> & { vault: Vault }) => Promise<Aim>>;

interface Followed extends Protected {
  vault: Vault;
}

/** An order as it is to be carried out now: who writes and which vault answers is looked at when the work begins. */
export async function aimed<Order extends Followed>(order: Order): Promise<Order> {
  if (!patched('follows-writer')) return order;
  const { 'aim at writer': aim } = proxyActivities<Activities>({
    startToCloseTimeout: '2 min',
    retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: 30_000 },
    summary: 'who writes, and which vault answers',
  });
  const { service, vault } = order;
  const found = await aim({ service, site: order.site, vault });
  if (found.kind === 'no-vault')
    throw ApplicationFailure.create({ type: 'OBJECT_STORE_UNREACHABLE', message: found.why, nonRetryable: true });
  const { insteadOf } = found;
  // What is not at the other site at all (a directory of one site) stays where it is.
  const site = Object.hasOwn(order.resource.sites, found.site) ? found.site : order.site;
  return { ...order, site, vault: found.vault, ...(insteadOf !== null && { insteadOf }) };
}

/** What a run remembers of an order that was carried out elsewhere than asked for. */
export function aimFacts(asked: Followed, done: Followed): { site?: string; keptIn?: string } {
  return {
    ...(done.site !== asked.site && { site: done.site }),
    ...(done.vault.name !== asked.vault.name && { keptIn: done.vault.name }),
  };
}
