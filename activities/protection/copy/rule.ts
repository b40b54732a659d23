import type { CopyFilter, CopyLeg, CopyOrder, CopyStage } from '../../../workflows/engine/copying.ts';
import { parseCount } from '../../drivers/bucket/config.ts';
import type { FilterRule } from '../../mover/run/filter.ts';
import { usualPassRule, type PassRule } from '../../mover/run/pass.ts';
import { parseTimetable } from '../../mover/run/timetable.ts';

/** The mover's rule for a stage of a leg. @throws MusterError CONFIG_INVALID */
export function passRuleOf({ mode, rule }: CopyOrder, { filter }: CopyLeg, stage: CopyStage): PassRule {
  const { versions, verifyShare, compareBy, properties, overwrite, storageClass, bandwidth, requests } = rule;
  // What is too much at the target is only counted while it is measured, so that the guard speaks at the end.
  const deletes = stage === 'copying' && rule.deleteShare !== null ? { deleteShare: rule.deleteShare } : {};
  return {
    ...usualPassRule,
    ...{ versions, compareBy, verifyShare, transfers: rule.transfers, compareProperties: properties },
    ...{ mode: stage === 'measuring' ? 'plan' : mode, compareBytes: mode === 'compare', filter: filterOf(filter) },
    copy: { ...usualPassRule.copy, overwrite, carry: { ...usualPassRule.copy.carry, storageClass } },
    ...deletes,
    ...(bandwidth === null ? {} : { bandwidth: parseTimetable(bandwidth) }),
    ...(requests === null ? {} : { requests: parseTimetable(requests, parseCount) }),
  };
}

/** The prefix is not among it: it is part of the places. */
export function filterOf(filter: CopyFilter): FilterRule {
  const { include, exclude, minSizeBytes, maxSizeBytes, minAgeSeconds, maxAgeSeconds, tags } = filter;
  return {
    ...{ include, exclude },
    ...(minSizeBytes === null ? {} : { minSizeBytes }),
    ...(maxSizeBytes === null ? {} : { maxSizeBytes }),
    ...(minAgeSeconds === null ? {} : { minAgeMs: minAgeSeconds * 1_000 }),
    ...(maxAgeSeconds === null ? {} : { maxAgeMs: maxAgeSeconds * 1_000 }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
  };
}
