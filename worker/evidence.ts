import { request } from 'undici';
import type { AgentAddress } from '../activities/guard/client.ts';
import { MusterError } from '../workflows/engine/errors.ts';

/** Fetches a file that a step left at a site (e.g. a conflict set). @throws MusterError AGENT_UNREACHABLE */
export async function fetchEvidence(agent: AgentAddress, name: string): Promise<string> {
  const url = new URL(`/v1/evidence/${encodeURIComponent(name)}`, agent.url);
  const headers = { authorization: `Bearer ${agent.token}` };
  const answer = await request(url, { headers, signal: AbortSignal.timeout(30_000) }).catch((err: unknown) => {
    throw new MusterError(
      'AGENT_UNREACHABLE',
      `agent of ${agent.site}: evidence ${name}: ${err instanceof Error ? err.message : String(err)}`,
    );
  });
  const text = await answer.body.text();
  if (answer.statusCode === 200) return text;
  throw new MusterError('AGENT_UNREACHABLE', `agent of ${agent.site}: evidence ${name}: HTTP ${answer.statusCode}`);
}
