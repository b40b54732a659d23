import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbInput } from '../../driver.ts';
import { done } from '../guarded/verb.ts';
import { directoryAt } from './config.ts';
import { stateOf, stateText } from './place.ts';

/** The site that was moved to has the directory, whole as far as a restore goes, with something in it. Throws VERIFY_FAILED. */
export async function verify({ plan, resource }: VerbInput): Promise<PerformOutcome> {
  const { path } = directoryAt(resource, plan.to);
  const state = await stateOf(path);
  if (state.kind === 'present') return done({ path, entries: state.entries });
  throw new MusterError('VERIFY_FAILED', `${resource.name}: ${path} at ${plan.to} ${stateText(state)}`);
}
