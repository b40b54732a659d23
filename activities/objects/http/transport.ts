import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { type ObjectLimits } from '../place.ts';
import { Exchange, type Incoming, type Outgoing } from './exchange.ts';

/** HTTP to one endpoint over kept connections. */
export interface Transport {
  /**
   * Resolves with the head of the answer. Rejects with ExchangeLost, with the reason of `signal`, or with what the
   * source of the body threw.
   */
  send(request: Outgoing): Promise<Incoming>;
  close(): Promise<void>;
}

/** @throws MusterError CONFIG_INVALID when the authorities' file cannot be read. */
export function createTransport(
  endpoint: string,
  caFile: string | undefined,
  limits: Required<ObjectLimits>,
): Transport {
  const pool = new Pool(endpoint, {
    connections: limits.connections,
    pipelining: 1,
    // Time is kept here, see `Exchange`: undici's limits know neither a slow source nor a slow reader.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 20_000,
    connect: { timeout: limits.connectMs, ...(caFile === undefined ? {} : { ca: authorities(caFile) }) },
  });
  const active = new Set<Exchange>();
  const tickMs = Math.min(1_000, Math.max(10, Math.min(limits.answerMs, limits.stallMs) / 8));
  let watching: NodeJS.Timeout | undefined;
  const watch = (): void => {
    const nowMs = performance.now();
    for (const exchange of active) exchange.judge(nowMs);
    if (active.size > 0) return;
    clearInterval(watching);
    watching = undefined;
  };
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        const exchange = new Exchange({ request, limits, resolve, reject, over: () => active.delete(exchange) });
        active.add(exchange);
        watching ??= setInterval(watch, tickMs);
        exchange.begin(pool);
      }),
    async close() {
      clearInterval(watching);
      await pool.destroy();
    },
  };
}

function authorities(caFile: string): string {
  try {
    return readFileSync(caFile, 'utf8');
  } catch (cause) {
    throw new MusterError('CONFIG_INVALID', `caFile ${caFile} cannot be read`, { cause });
  }
}
