import type { PlanResource } from '../../../../workflows/engine/plan.ts';
import { durationMs, parseCount, replicateSettings } from '../config.ts';
import type { FilterRule } from '../../../mover/run/filter.ts';
import { usualPassRule, type PassRule } from '../../../mover/run/pass.ts';
import { parseTimetable } from '../../../mover/run/timetable.ts';
import type { Turn } from './turn.ts';

/** What Muster keeps in a bucket for itself: marks, probes and what a move left over. It stays where it is. */
export const ownKeys = '.muster/';

/** The mover's rule of a turn: copies carry its epoch, and the name of the site whose users wrote. @throws CONFIG_INVALID */
export function ruleOf(resource: PlanResource, { epoch, from }: Pick<Turn, 'epoch' | 'from'>): PassRule {
  const { bandwidth, requests, transfers, deleteGuard } = replicateSettings(resource);
  return {
    ...usualPassRule,
    ...{ transfers, deleteShare: deleteGuard / 100, filter: filterOf(resource) },
    copy: { ...usualPassRule.copy, epoch, origin: from },
    ...(bandwidth === undefined ? {} : { bandwidth: parseTimetable(bandwidth) }),
    ...(requests === undefined ? {} : { requests: parseTimetable(requests, parseCount) }),
  };
}

/** Which keys a bucket's replication is about: what it compares, copies, and names when it is lost. @throws CONFIG_INVALID */
export function filterOf(resource: PlanResource): FilterRule {
  const { prefix, include, exclude } = replicateSettings(resource);
  return { include, exclude: [`/${ownKeys}**`, ...exclude], ...(prefix === undefined ? {} : { prefix }) };
}

/** Both sides are compared so often, milliseconds. */
export function compareEveryMs(resource: PlanResource): number {
  return durationMs(replicateSettings(resource).compareEvery);
}
