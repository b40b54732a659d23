import { getState, putEpoch, type AgentAddress } from '../activities/guard/client.ts';
import type { Granter } from '../activities/guard/granter-store.ts';
import type { AgentState, GranterState } from '../activities/guard/protocol.ts';
import type { Estate, EstateService } from '../runbooks/estate.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log.ts';
import { newestOf } from './service-state.ts';

const limit = { timeoutMs: 1_000 };

export interface EpochSync {
  estate: Estate;
  granter: Granter;
  agents: readonly AgentAddress[];
  ledger: Ledger;
  log: Log;
}

/**
 * Keeps the granters of one mind, upwards only: takes over what an agent or the ledger knows that is newer, names the
 * holder to agents that know less, and begins at epoch 1 with the estate's primary when nobody has ever known one.
 */
export async function syncEpochs(sync: EpochSync): Promise<void> {
  const { estate, granter, agents } = sync;
  const answers = await Promise.all(agents.map((agent) => getState(agent, limit).catch(() => null)));
  for (const state of answers.flatMap((answer) => answer?.granters ?? [])) granter.learn(state);
  for (const service of Object.values(estate.services)) {
    if (newestOf(granter.states(), service.name) === null)
      await begin(
        sync,
        service,
        answers.every((a) => a !== null),
      );
    const now = newestOf(granter.states(), service.name);
    if (now !== null) await tellAgents(sync, now, answers);
  }
}

async function tellAgents(
  { agents, log }: EpochSync,
  now: GranterState,
  answers: readonly (AgentState | null)[],
): Promise<void> {
  const { service, epoch, holder } = now;
  if (holder === null) return;
  for (const [i, agent] of agents.entries()) {
    const known = answers[i]?.granters.find((g) => g.service === service);
    if (known === undefined || known.epoch >= epoch || known.stoppedThrough >= epoch) continue;
    await putEpoch(agent, { service, epoch, holder }, limit).catch((err: unknown) => {
      log.warn({ site: agent.site, err: String(err) }, 'the agent does not take the epoch yet');
    });
  }
}

/** The first epoch of all is only safe to assume when nobody who might know better is silent. */
async function begin({ granter, ledger }: EpochSync, service: EstateService, allAnswered: boolean): Promise<void> {
  const remembered = await ledger.currentEpoch(service.name).catch(() => undefined);
  if (remembered === undefined && !allAnswered) return;
  const { epoch, holder } = remembered ?? { epoch: 1, holder: service.primary };
  granter.putEpoch({ service: service.name, epoch, holder });
}
