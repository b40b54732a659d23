import type { AgentAddress } from '../activities/guard/client.ts';
import { resolveReference } from '../activities/references.ts';
import type { Estate } from '../runbooks/estate.ts';

/** The control plane's HTTP as this process reaches it. @throws MusterError SECRET_MISSING */
export function controlAddress(estate: Estate): AgentAddress {
  return { site: 'control', url: resolveReference(estate.control.url), token: resolveReference(estate.control.token) };
}

/** Where steps leave files: the agents of the sites, and the control plane. @throws MusterError SECRET_MISSING */
export function evidencePlaces(estate: Estate): AgentAddress[] {
  return [...agentAddresses(estate), controlAddress(estate)];
}

/** The agents of the sites that have one, as this process reaches them. @throws MusterError SECRET_MISSING */
export function agentAddresses(estate: Estate): AgentAddress[] {
  const token = resolveReference(estate.control.token);
  return Object.values(estate.sites).flatMap(({ name, agentUrl }) =>
    agentUrl === null ? [] : [{ site: name, url: resolveReference(agentUrl), token }],
  );
}
