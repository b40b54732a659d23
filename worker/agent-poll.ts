import { getState, type AgentAddress } from '../activities/guard/client.ts';
import type { AgentState } from '../activities/guard/protocol.ts';
import { every, type Repeating } from './every.ts';

/** The newest state of an agent, or null once it has not answered for a while: silence is never taken for agreement. */
export interface AgentPoll {
  site: string;
  state(): AgentState | null;
  stop(): Promise<void>;
}

export function pollAgent(agent: AgentAddress, everyMs: number): AgentPoll {
  const staleMs = Math.max(everyMs * 5, 1_500);
  let last: { state: AgentState; atMs: number } | null = null;
  const polling: Repeating = every(everyMs, async () => {
    const state = await getState(agent, { timeoutMs: staleMs });
    last = { state, atMs: performance.now() };
  });
  return {
    site: agent.site,
    state: () => (last !== null && performance.now() - last.atMs <= staleMs ? last.state : null),
    stop: () => polling.stop(),
  };
}
