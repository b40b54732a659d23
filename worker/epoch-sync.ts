import { getState, putEpoch, type AgentAddress } from '../activities/guard/client.ts';
import type { Granter } from '../activities/guard/granter-store.ts';
import type { Estate } from '../runbooks/estate.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log.ts';
import { newestOf } from './service-state.ts';

const limit = { timeoutMs: 1_000 };

/**
 * Keeps the granters of one mind, upwards only: takes over what an agent or the ledger knows that is newer, names the
 * holder to agents that know less, and begins at epoch 1 with the estate's primary when nobody has ever known one.
 */
export async function syncEpochs(
  estate: Estate,
  granter: Granter,
  agents: readonly AgentAddress[],
  ledger: Ledger,
  log: Log,
): Promise<void> {
  const answers = await Promise.all(agents.map((agent) => getState(agent, limit).catch(() => null)));
  for (const state of answers.flatMap((answer) => answer?.granters ?? [])) granter.learn(state);
  for (const service of Object.values(estate.services)) {
    if (newestOf(granter.states(), service.name) === null)
      await begin(
        service.name,
        service.primary,
        granter,
        ledger,
        answers.every((a) => a !== null),
      );
    const now = newestOf(granter.states(), service.name);
    if (now === null || now.holder === null) continue;
    for (const [i, agent] of agents.entries()) {
      const known = answers[i]?.granters.find((g) => g.service === service.name);
      if (known === undefined || known.epoch >= now.epoch || known.stoppedThrough >= now.epoch) continue;
      await putEpoch(agent, { service: service.name, epoch: now.epoch, holder: now.holder }, limit).catch(
        (err: unknown) => {
          log.warn({ site: agent.site, err: String(err) }, 'the agent does not take the epoch yet');
        },
      );
    }
  }
}

/** The first epoch of all is only safe to assume when nobody who might know better is silent. */
async function begin(
  service: string,
  primary: string,
  granter: Granter,
  ledger: Ledger,
  allAnswered: boolean,
): Promise<void> {
  const remembered = await ledger.currentEpoch(service).catch(() => undefined);
  if (remembered === undefined && !allAnswered) return;
  const { epoch, holder } = remembered ?? { epoch: 1, holder: primary };
  granter.putEpoch({ service, epoch, holder });
}
