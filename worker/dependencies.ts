import { request } from 'undici';
import { Connection } from '@temporalio/client';
import type { AgentAddress } from '../activities/guard/client.ts';
import type { Route } from '../activities/guard/http.ts';
import { every, type Repeating } from './every.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Metrics } from './metrics.ts';
import type { TemporalPlace } from './temporal.ts';

/** Since when the control plane misses what it leans on, Unix milliseconds; null while it is there. */
export interface Dependencies {
  temporalAwaySinceMs: number | null;
  ledgerAwaySinceMs: number | null;
}

const everyMs = 2_000;

export interface DependencyWatch extends Repeating {
  route: Route;
}

/** Looks at Temporal and the ledger every two seconds, so that a person who asks later is told since when. */
export function watchDependencies(place: TemporalPlace, ledger: Ledger, metrics: Metrics): DependencyWatch {
  const state: Dependencies = { temporalAwaySinceMs: null, ledgerAwaySinceMs: null };
  let connection: Connection | null = null;
  const looks = {
    temporal: async () => {
      connection ??= await Connection.connect({ address: place.address, connectTimeout: everyMs });
      const { healthService } = connection;
      await connection.withDeadline(Date.now() + everyMs, () => healthService.check({}));
    },
    ledger: async () => void (await ledger.currentEpoch('')),
  };
  const look = async (name: 'temporal' | 'ledger'): Promise<void> => {
    const key = `${name}AwaySinceMs` as const;
    const isThere = await looks[name]().then(
      () => true,
      () => false,
    );
    state[key] = isThere ? null : (state[key] ?? Date.now());
    metrics.dependencyUp.set({ name }, isThere ? 1 : 0);
  };
  const loop = every(everyMs, async () => void (await Promise.all([look('temporal'), look('ledger')])));
  return {
    route: { method: 'GET', path: '/v1/dependencies', handle: () => ({ status: 200, json: state }) },
    stop: async () => {
      await loop.stop();
      await connection?.close();
    },
  };
}

/** What the control plane says of its dependencies; null when it does not answer itself. */
export async function readDependencies(control: AgentAddress): Promise<Dependencies | null> {
  try {
    const headers = { authorization: `Bearer ${control.token}` };
    const answer = await request(new URL('/v1/dependencies', control.url), {
      headers,
      signal: AbortSignal.timeout(1_000),
    });
    return answer.statusCode === 200 ? ((await answer.body.json()) as Dependencies) : null;
  } catch {
    return null;
  }
}
