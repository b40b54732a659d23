import { MusterError } from '../../workflows/engine/errors.ts';
import type { Scenario } from './scenario.ts';
import { siteFreeze } from './site-freeze.ts';
import { siteLoss } from './site-loss.ts';
import { slowLink } from './slow-link.ts';

export const scenarios: readonly Scenario[] = [siteLoss, siteFreeze, slowLink];

/** @throws MusterError CONFIG_INVALID naming the scenarios there are */
export function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  throw new MusterError(
    'CONFIG_INVALID',
    `no game day is named "${name}"; there are ${scenarios.map((s) => s.name).join(', ')}`,
  );
}
