import { newestCanary } from '../../activities/drivers/postgres/canary.ts';
import { withSql } from '../../activities/drivers/postgres/sql.ts';
import { otherSite, type Site } from '../../sandbox/addresses.ts';
import { type World } from '../../sandbox/world.ts';
import { eventually } from './eventually.ts';

/**
 * Waits until a new world is one that a service would be moved in: clients are served, and the standby has a mark by
 * which the loss is known. Until then a failover asks a person whether the unknown loss is acceptable.
 */
export async function untilReady(world: World, primary: Site = 'hangzhou'): Promise<void> {
  await eventually('clients place orders', async () => (await world.clients.stats()).acked > 50);
  await untilLossIsKnown(world, primary);
}

/** Also after a move, when marks of the new writer have not come yet. */
export async function untilLossIsKnown(world: World, primary: Site): Promise<void> {
  await eventually(`the loss is known at ${otherSite(primary)}, and small`, async () => {
    const mark = await withSql(world.adminUrl(otherSite(primary)), {}, newestCanary);
    return mark !== null && Date.now() - mark.writtenAtMs < 1_500;
  });
}
