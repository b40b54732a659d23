import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbInput } from '../../driver.ts';
import { done } from '../guarded/verb.ts';
import { directoryAt } from './config.ts';
import { stateOf, stateText } from './place.ts';

/**
 * What the site to move to has of the directory, which no failover brings there. Throws SOURCE_UNREADABLE where
 * it has nothing: the run goes on without, and has a finding that says so.
 */
export async function check({ plan, resource }: VerbInput): Promise<PerformOutcome> {
  const { path } = directoryAt(resource, plan.to);
  const state = await stateOf(path);
  const note = `not moved: ${plan.to} has only what was restored there`;
  if (state.kind === 'present') return done({ moved: false, path, entries: state.entries, note });
  const what = `${resource.name} is not moved, and ${path} at ${plan.to} ${stateText(state)}`;
  throw new MusterError('SOURCE_UNREADABLE', `${what}: restore it from its vault`);
}
