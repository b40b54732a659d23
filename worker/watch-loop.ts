/**
 * The watch of the control plane: looks at every writer from here and through the other site's eyes, marks the data each
 * second so that a loss can be measured, and declares a disaster where the policy lets it.
 */
import type { Client } from '@temporalio/client';
import type { Route } from '../activities/guard/http.ts';
import type { VantageView } from '../activities/guard/protocol.ts';
import type { EstateService } from '../runbooks/estate.ts';
import { agentAddresses } from './addresses.ts';
import { pollAgent, type AgentPoll } from './agent-poll.ts';
import { startCanaries } from './canaries.ts';
import { declareFailover } from './declare.ts';
import { every, type Repeating } from './every.ts';
import type { PastDeclarations } from './past-declarations.ts';
import { newestOf } from './service-state.ts';
import { connectClient } from './temporal.ts';
import { startVantage, type Vantage } from './vantage.ts';
import type { ServiceWatch, WatchOptions } from './watch/context.ts';
import { detect, type Sightings, type Verdict } from './watch/detect.ts';

export interface Watch {
  views(): VantageView[];
  /** `GET /v1/watch`: what the watch makes of each service now. */
  routes(): Route[];
  stop(): Promise<void>;
}

export function startWatch(options: WatchOptions): Watch {
  const { estate, log } = options;
  const services = Object.values(estate.services);
  const vantage = startVantage({ estate, services, site: 'control', log });
  const pollMs = Math.min(...services.map((s) => s.policy.probeSeconds * 1_000), 1_000) / 2;
  const polls = agentAddresses(estate).map((agent) => pollAgent(agent, pollMs));
  const canaries = startCanaries(options);
  const client = connectClient(options.place).catch(() => null);
  const watched = services.map((service) => watchService(options, service, { vantage, polls, client }));
  return {
    views: () => vantage.views(),
    routes: () => [
      { method: 'GET', path: '/v1/watch', handle: () => ({ status: 200, json: watched.map((w) => w.state) }) },
    ],
    stop: async () => {
      await Promise.all([
        vantage.stop(),
        canaries.stop(),
        ...polls.map((p) => p.stop()),
        ...watched.map((w) => w.loop.stop()),
        client.then((c) => c?.connection.close()),
      ]);
    },
  };
}

interface Eyes {
  vantage: Vantage;
  polls: readonly AgentPoll[];
  client: Promise<Client | null>;
}

function watchService(
  options: WatchOptions,
  service: EstateService,
  { vantage, polls, client }: Eyes,
): { state: ServiceWatch; loop: Repeating } {
  const { granter, metrics, log } = options;
  const state: ServiceWatch = {
    service: service.name,
    holder: service.primary,
    verdict: { kind: 'up' },
    faultAtMs: null,
    detectedAtMs: null,
  };
  const round = async (): Promise<void> => {
    const holder = newestOf(granter.states(), service.name)?.holder ?? service.primary;
    // A move changes what is looked at: what was seen of the old writer says nothing about the new one.
    if (holder !== state.holder) Object.assign(state, { holder, faultAtMs: null, detectedAtMs: null });
    const sightings = sightingsOf(service.name, holder, vantage, polls);
    for (const [from, view] of Object.entries(sightings))
      if (view !== null) metrics.up.set({ service: service.name, from }, view.up ? 1 : 0);
    note(options, state, detectNow(service, options.declarations, sightings), sightings);
    if (state.verdict.kind !== 'declared') return;
    options.declarations.add(service.name);
    const agents = Object.fromEntries(
      polls.flatMap((poll) => {
        const answer = poll.state();
        return answer === null ? [] : [[poll.site, answer]];
      }),
    );
    await declareFailover(options, service, state, { client, agents }).catch((err: unknown) => {
      log.error(
        { service: service.name, err: err instanceof Error ? err.message : String(err) },
        'the failover could not be started',
      );
      options.declarations.withdraw(service.name);
    });
  };
  return { state, loop: every(Math.max(service.policy.probeSeconds * 250, 20), round) };
}

function sightingsOf(service: string, holder: string, vantage: Vantage, polls: readonly AgentPoll[]): Sightings {
  const mine = vantage.views().find((v) => v.service === service && v.site === holder) ?? null;
  const others = polls
    .filter((poll) => poll.site !== holder)
    .map(
      (poll) =>
        [poll.site, poll.state()?.vantage.find((v) => v.service === service && v.site === holder) ?? null] as const,
    );
  return { control: mine, ...Object.fromEntries(others) };
}

function detectNow({ name, policy }: EstateService, declarations: PastDeclarations, sightings: Sightings): Verdict {
  const holdMs = policy.holdSeconds * 1_000;
  const limits = { declare: policy.declare, holdMs, cooldownMs: policy.cooldownSeconds * 1_000 };
  return detect(sightings, limits, declarations.agesMs(name));
}

/** Announces a change once, when it happens. */
function note({ log, metrics }: WatchOptions, state: ServiceWatch, verdict: Verdict, sightings: Sightings): void {
  const before = state.verdict.kind;
  state.verdict = verdict;
  if (verdict.kind === 'up' || verdict.kind === 'suspect') {
    Object.assign(state, { faultAtMs: null, detectedAtMs: null });
    if (before !== verdict.kind)
      log.info(
        { service: state.service, holder: state.holder, sightings },
        verdict.kind === 'up' ? 'the writer is seen' : 'one vantage point misses the writer',
      );
    return;
  }
  if (state.detectedAtMs === null) {
    const longestMs = Math.max(...Object.values(sightings).map((view) => view?.downForMs ?? 0));
    Object.assign(state, { faultAtMs: Math.round(Date.now() - longestMs), detectedAtMs: Date.now() });
    metrics.detections.inc({ service: state.service });
    log.warn({ service: state.service, holder: state.holder, sightings }, 'outage detected: all vantage points agree');
  }
  if (before !== verdict.kind && verdict.kind === 'blocked')
    log.error({ service: state.service, why: verdict.why }, 'outage held, and not declared');
}
