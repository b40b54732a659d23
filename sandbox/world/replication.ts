import { startReplication } from '../../worker/replication.ts';
import { connectClient } from '../../worker/temporal.ts';
import type { PlanResource } from '../../workflows/engine/plan.ts';
import { otherSite, type Place, type Site } from '../addresses.ts';
import type { Env } from './wiring.ts';

const service = 'shop';

/** Orders the replication of the shop's bucket, as `muster replicate start` would. */
export async function startReplicationOf(
  { env, primary }: { env: Record<Place, Env>; primary: Site },
  { name, driver, sites, shared }: PlanResource,
): Promise<void> {
  const address = env.control['TEMPORAL_ADDRESS'] ?? '';
  const client = await connectClient({ address, namespace: env.control['TEMPORAL_NAMESPACE'] ?? 'default' });
  try {
    const resource = { name, driver, sites, shared };
    const between = { from: primary, to: otherSite(primary) };
    await startReplication(client, { service, resource, ...between, startedBy: 'sandbox' });
  } finally {
    await client.connection.close();
  }
}
