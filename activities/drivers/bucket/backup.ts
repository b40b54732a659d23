import { done, type DriverVerb } from '../guarded/verb.ts';
import { isReplicated } from './config.ts';
import { exportObjectConflicts } from './replication/conflicts.ts';

/**
 * Before a returning site follows the writer: lists the objects that it alone has, or has otherwise, with both sides'
 * versions. It reads only; what is listed is kept at that site when it rejoins.
 */
export const backup: DriverVerb = {
  perform: (input, context, services) =>
    isReplicated(input.resource)
      ? exportObjectConflicts(input, context, services)
      : Promise.resolve(done({ replication: 'none' })),
};
