import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { closeGuard, getState, putEpoch, stopGranting, type AgentAddress } from '../../guard/client.ts';
import type { AgentState, CloseAnswer, GuardState } from '../../guard/protocol.ts';
import type { VerbInput } from '../../driver.ts';
import { resolveReference } from '../../references.ts';
import type { DriverServices } from './services.ts';

/** For a question to a granter that is expected to live. */
export const ASK_MS = 1_000;

/** Clocks of two machines run at rates that differ by far less than this share. */
const DRIFT_SHARE = 0.01;
const LATENESS_MS = 50;

/** How long to wait beyond the end that a granter named. */
export function leaseMarginMs(leaseMs: number): number {
  return LATENESS_MS + leaseMs * DRIFT_SHARE;
}

/** Agent of a site; throws AGENT_UNREACHABLE when the estate names none. */
export function agentOf(input: VerbInput, services: DriverServices, site: string): AgentAddress {
  const url = input.plan.sites[site]?.agentUrl ?? null;
  if (url === null) throw new MusterError('AGENT_UNREACHABLE', `the estate names no agent of ${site}`);
  return { site, url: resolveReference(url), token: services.token() };
}

/** Control and every agent. A guard may get its lease from any of them but the one at its own site. */
export function allGranters(input: VerbInput, services: DriverServices): AgentAddress[] {
  const sites = Object.values(input.plan.sites).filter((site) => site.agentUrl !== null);
  return [services.control(), ...sites.map((site) => agentOf(input, services, site.name))];
}

/** Those who may grant the writer's lease to `site`. */
export function grantersTo(input: VerbInput, services: DriverServices, site: string): AgentAddress[] {
  return allGranters(input, services).filter((granter) => granter.site !== site);
}

/** What one granter said about the end of its grants. */
export interface StoppedGranter {
  site: string;
  /** How long its last grant may still be in use, milliseconds from now; `null` when it did not answer. */
  remainingMs: number | null;
  why: string | null;
}

/** Tells every granter of the old holder to grant nothing below the plan's epoch. Never throws. */
export async function stopAll(
  input: VerbInput,
  services: DriverServices,
  signal: AbortSignal,
): Promise<StoppedGranter[]> {
  const { service, epoch } = input.plan;
  const request = { service, throughEpoch: epoch - 1, by: input.runId };
  return Promise.all(
    grantersTo(input, services, input.plan.from).map(async (granter) => {
      try {
        const { remainingMs } = await stopGranting(granter, request, { timeoutMs: ASK_MS, signal });
        return { site: granter.site, remainingMs, why: null };
      } catch (err) {
        return { site: granter.site, remainingMs: null, why: toMusterError(err).message };
      }
    }),
  );
}

/** The same from what the granters say of themselves, changing nothing: a granter that was not stopped counts as silent. */
export async function readStopped(
  input: VerbInput,
  services: DriverServices,
  signal: AbortSignal,
): Promise<StoppedGranter[]> {
  const { service, epoch } = input.plan;
  return Promise.all(
    grantersTo(input, services, input.plan.from).map(async ({ site, ...address }) => {
      try {
        const { granters } = await getState({ site, ...address }, { timeoutMs: ASK_MS, signal });
        const granter = granters.find((one) => one.service === service);
        const isOver = granter === undefined || granter.epoch >= epoch || granter.stoppedThrough >= epoch - 1;
        if (!isOver) return { site, remainingMs: null, why: 'it still grants' };
        return { site, remainingMs: granter?.remainingMs ?? 0, why: null };
      } catch (err) {
        return { site, remainingMs: null, why: toMusterError(err).message };
      }
    }),
  );
}

/**
 * Resolves when the last grant of every granter has certainly ended, or people took the risk (`args.acceptRisk`).
 * @throws MusterError FENCE_UNCONFIRMED when a granter that does not answer may still grant
 */
export async function leaseProof(
  input: VerbInput,
  granters: readonly StoppedGranter[],
  signal: AbortSignal,
): Promise<{ by: 'lease' } | { by: 'accepted-risk' }> {
  const { leaseMs } = input.plan;
  const silent = granters.filter((granter) => granter.remainingMs === null);
  const longest = Math.max(0, ...granters.map(({ remainingMs }) => remainingMs ?? leaseMs));
  if (longest > 0) await sleep(longest + leaseMarginMs(leaseMs), undefined, { signal });
  if (silent.length === 0) return { by: 'lease' };
  if (input.args['acceptRisk'] === true) return { by: 'accepted-risk' };
  const who = silent.map(({ site, why }) => `${site} (${why})`).join(', ');
  throw new MusterError('FENCE_UNCONFIRMED', `a granter that does not answer may still grant: ${who}`);
}

/** Orders the guard of this resource at a site to close for every epoch below the plan's. */
export async function closeAt(
  input: VerbInput,
  services: DriverServices,
  site: string,
  limit: { timeoutMs: number; signal: AbortSignal },
): Promise<CloseAnswer> {
  const { service, epoch } = input.plan;
  const request = { service, throughEpoch: epoch - 1, stop: true, resource: input.resource.name };
  const answer = await closeGuard(agentOf(input, services, site), request, limit);
  if (!isShut(answer.state))
    throw new MusterError('FENCE_UNCONFIRMED', `the guard at ${site} answers that it is ${answer.state}`);
  return answer;
}

/** Whether nobody can write at a database in this state. */
export function isShut(state: GuardState['state']): boolean {
  return state === 'closed' || state === 'stopped' || state === 'standby';
}

/** What the guard of this resource at a site says of itself. @throws MusterError AGENT_UNREACHABLE, SERVICE_UNKNOWN */
export async function guardAt(
  input: VerbInput,
  services: DriverServices,
  site: string,
  limit: { timeoutMs: number; signal: AbortSignal },
): Promise<GuardState> {
  const state: AgentState = await getState(agentOf(input, services, site), limit);
  const found = state.guards.find((g) => g.service === input.plan.service && g.resource === input.resource.name);
  if (found === undefined)
    throw new MusterError('SERVICE_UNKNOWN', `no guard at ${site} watches ${input.resource.name}`);
  return found;
}

export interface NamedHolder {
  /** Granters that took the epoch so far. */
  taken: string[];
  /** Granters that did not, with the reason. */
  refused: Record<string, string>;
  stale: boolean;
}

/**
 * Names the holder of the plan's epoch to every granter at once. Resolves as soon as one that may grant to the holder
 * has taken it, or all have refused; the others hear of it meanwhile, and a dead one is not waited for. Never throws.
 */
export async function nameHolder(
  input: VerbInput,
  services: DriverServices,
  holder: string,
  signal: AbortSignal,
): Promise<NamedHolder> {
  const { service, epoch } = input.plan;
  const result: NamedHolder = { taken: [], refused: {}, stale: false };
  const calls = allGranters(input, services).map(async (granter) => {
    try {
      await putEpoch(granter, { service, epoch, holder }, { timeoutMs: ASK_MS, signal });
      result.taken.push(granter.site);
    } catch (err) {
      const { code, message } = toMusterError(err);
      result.refused[granter.site] = message;
      result.stale ||= code === 'EPOCH_STALE';
      throw err;
    }
    if (granter.site === holder) throw new MusterError('LEASE_REFUSED', 'a granter never grants to its own site');
  });
  await Promise.any(calls).catch(() => undefined);
  return result;
}

/**
 * A writer that nobody may open helps nobody: one granter must be there, and none may know a newer epoch.
 * @throws MusterError LEASE_REFUSED, AGENT_UNREACHABLE, EPOCH_STALE
 */
export async function requireGranter(input: VerbInput, services: DriverServices, signal: AbortSignal): Promise<void> {
  const failures: MusterError[] = [];
  const asked = grantersTo(input, services, input.plan.to).map(async (granter) => {
    try {
      refuseOtherHolder(input, await getState(granter, { timeoutMs: ASK_MS, signal }));
    } catch (err) {
      failures.push(toMusterError(err));
      throw err;
    }
  });
  // The first that can grant is enough; a dead one is not waited for.
  const isThere = await Promise.any(asked).then(
    () => true,
    () => false,
  );
  const stale = failures.find(({ code }) => code === 'EPOCH_STALE');
  if (stale !== undefined) throw stale;
  if (!isThere) throw failures[0] ?? new MusterError('LEASE_REFUSED', `nobody can grant to ${input.plan.to}`);
}

function refuseOtherHolder(input: VerbInput, { site, granters }: AgentState): void {
  const { service, epoch, to } = input.plan;
  const known = granters.find((one) => one.service === service);
  if (known === undefined) throw new MusterError('LEASE_REFUSED', `${site} does not know ${service}`);
  const taken = known.epoch > epoch || (known.epoch === epoch && known.holder !== to) || known.stoppedThrough >= epoch;
  if (!taken) return;
  const what = `${site} knows epoch ${Math.max(known.epoch, known.stoppedThrough)} of ${service}, held by ${known.holder}`;
  throw new MusterError('EPOCH_STALE', `${what}; this plan has epoch ${epoch}`);
}
