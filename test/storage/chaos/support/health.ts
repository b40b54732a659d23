import { adminCall } from '../../../../storage-node/admin/client.ts';
import { account } from './cluster.ts';

interface CountedSet {
  short: number;
  complete: boolean;
}

/** A recount with all drives answering that found every value known on every drive, and every shard. */
export async function isWhole(endpoint: string): Promise<boolean> {
  const at = { endpoint, ...account, region: 'us-east-1', timeoutMs: 120_000 };
  const { status, body } = await adminCall(at, 'POST', '/muster/admin/v1/heal?wait=true');
  if (status !== 200) return false;
  return (body as { sets: CountedSet[] }).sets.every(({ short, complete }) => complete && short === 0);
}

/** What one node says of stopping another: 200 when every set can write without it, else 412. */
export async function canStop(endpoint: string, nodeId: string): Promise<number> {
  const answer = await fetch(`${endpoint}/health/can-stop?node=${nodeId}`);
  await answer.arrayBuffer();
  return answer.status;
}
