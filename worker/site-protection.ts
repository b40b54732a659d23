import type { Log } from './log.ts';

type Activity = (arg: never) => Promise<unknown>;

/**
 * What a site's agent does of protection. Loaded when the first of it is ordered: an agent starts in the middle of a
 * disaster, too, and most have no directory to save.
 */
export function siteProtection(deps: { home: string; log: Log }): Record<string, Activity> {
  const called =
    (name: string): Activity =>
    async (arg) => {
      const { siteProtectionActivities } = await import('./protection-activities.ts');
      return siteProtectionActivities(deps)[name]!(arg);
    };
  return { 'save backup': called('save backup'), 'restore point': called('restore point') };
}
