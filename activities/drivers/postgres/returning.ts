import type { VerbInput } from '../../driver.ts';
import { urlOf, type SiteServer } from './config.ts';
import { readHistory, relationTo, type Relation } from './history.ts';
import { serverState } from './server.ts';
import { withSql } from './sql.ts';

/** The site that rejoins and the one it is to follow, as the step says, else by the kind of run. */
export function rejoining(input: VerbInput): { site: string; upstream: string } {
  const { from, to, kind } = input.plan;
  const [site, upstream] = kind === 'reprotect' ? [to, from] : [from, to];
  return { site: textArg(input, 'site') ?? site, upstream: textArg(input, 'upstream') ?? upstream };
}

function textArg(input: VerbInput, name: string): string | null {
  const value = input.args[name];
  return typeof value === 'string' ? value : null;
}

/** How the server at hand stands to its upstream; one that runs as a primary is judged by what it will be once stopped. */
export async function relationOf(input: VerbInput, server: SiteServer): Promise<Relation> {
  const state = await serverState(server.dataDir);
  if (state.kind === 'absent') return { kind: 'behind' };
  const history = await withSql(urlOf(input.resource, rejoining(input).upstream), {}, readHistory);
  if (state.kind === 'stopped') return relationTo(state.control, history);
  const isStandby = await withSql(server.url, {}, async (client) => {
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    return rows[0]?.standby === true;
  });
  return isStandby ? { kind: 'behind' } : { kind: 'diverged', why: 'it runs as a primary' };
}
