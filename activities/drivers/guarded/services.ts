import path from 'node:path';
import type { AgentAddress } from '../../guard/client.ts';
import type { Guard } from '../../guard/guard.ts';
import { resolveReference } from '../../references.ts';

/** What the verbs use of the process they run in. The composition root provides it. */
export interface DriverServices {
  /** Guard of a database in this process, `null` where there is none (the control plane). */
  guardFor(service: string, resource: string): Pick<Guard, 'openNow'> | null;
  /** The control plane's granter as this process reaches it. @throws MusterError SECRET_MISSING */
  control(): AgentAddress;
  /** Bearer token of the agents. @throws MusterError SECRET_MISSING */
  token(): string;
  /** Directory for evidence files. */
  home(): string;
  /** Unix milliseconds of this process; the control plane's clock dates the canary marks. */
  nowMs(): number;
}

/** Taken from the environment: MUSTER_CONTROL_URL, MUSTER_AGENT_TOKEN, MUSTER_HOME (default `.muster`). */
export const environmentServices: DriverServices = {
  guardFor: () => null,
  control: () => ({
    site: 'control',
    url: resolveReference('env:MUSTER_CONTROL_URL'),
    token: environmentServices.token(),
  }),
  token: () => resolveReference('env:MUSTER_AGENT_TOKEN'),
  home: () => path.resolve(process.env['MUSTER_HOME'] ?? '.muster'),
  nowMs: () => Date.now(),
};
