import { getState, type AgentAddress } from '../activities/guard/client.ts';
import type { AgentState, GranterState } from '../activities/guard/protocol.ts';
import type { Estate, EstateService } from '../runbooks/estate.ts';
import { agentAddresses, controlAddress } from './addresses.ts';

/** Who may write a service, as all granters that answer know it together. */
export interface ServiceState {
  service: string;
  /** Site that holds the newest epoch; the estate's primary while no granter knows any. */
  holder: string;
  epoch: number;
  /** Answers by site (`control` for the control plane). */
  answers: Record<string, AgentState>;
  /** Sites that did not answer in time, with the reason. */
  silent: Record<string, string>;
}

const askMs = 1_000;

/** Asks every granter at once; the highest epoch wins. Never fails: who does not answer is listed. */
export async function readServiceState(
  estate: Estate,
  service: EstateService,
  timeoutMs = askMs,
): Promise<ServiceState> {
  const answers: Record<string, AgentState> = {};
  const silent: Record<string, string> = {};
  const ask = async (address: AgentAddress): Promise<void> => {
    try {
      answers[address.site] = await getState(address, { timeoutMs });
    } catch (err) {
      silent[address.site] = err instanceof Error ? err.message : String(err);
    }
  };
  await Promise.all([controlAddress(estate), ...agentAddresses(estate)].map(ask));
  return stateFrom(service, answers, silent);
}

/** The same from answers already in hand. */
export function stateFrom(
  service: EstateService,
  answers: Record<string, AgentState>,
  silent: Record<string, string> = {},
): ServiceState {
  const newest = newestOf(
    Object.values(answers).flatMap((answer) => answer.granters),
    service.name,
  );
  return {
    service: service.name,
    holder: newest?.holder ?? service.primary,
    epoch: newest?.epoch ?? 1,
    answers,
    silent,
  };
}

/** The granter's word with the highest epoch that names a holder. */
export function newestOf(granters: readonly GranterState[], service: string): GranterState | null {
  const known = granters.filter((g) => g.service === service && g.holder !== null);
  return known.reduce<GranterState | null>((best, g) => (best === null || g.epoch > best.epoch ? g : best), null);
}

/** The lowest epoch a new run may take: above every one held or stopped anywhere. */
export function nextEpoch(state: ServiceState): number {
  const seen = Object.values(state.answers)
    .flatMap((answer) => answer.granters)
    .filter((g) => g.service === state.service)
    .flatMap((g) => [g.epoch, g.stoppedThrough]);
  return Math.max(state.epoch, ...seen) + 1;
}
