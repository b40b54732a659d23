import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { readEntry } from './admin-client.ts';
import { evidenceOf, refuseNewer } from './order.ts';

/**
 * The entry answers, knows both sites and no newer epoch, and the application at the site to move to is up (it need not
 * accept writes yet). Throws TARGET_DEAD, EPOCH_STALE, PROXY_UNREACHABLE or CONFIG_INVALID; changes nothing.
 */
export async function check(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const view = await readEntry(input, context);
  const { plan, resource } = input;
  for (const site of [plan.from, plan.to]) {
    if (view.upstreams.some((upstream) => upstream.site === site)) continue;
    throw new MusterError('CONFIG_INVALID', `${resource.name}: the entry knows no site called ${site}`);
  }
  refuseNewer(view, input);
  const target = view.upstreams.find((upstream) => upstream.site === plan.to);
  if (plan.kind !== 'reprotect' && target?.answers !== true) {
    throw new MusterError('TARGET_DEAD', `${resource.name}: the application at ${plan.to} does not answer the entry`);
  }
  return { status: 'done', evidence: evidenceOf(view), measurements: [] };
}
