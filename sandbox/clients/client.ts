import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, errors } from 'undici';
import { outcomeHeader } from '../entry/http.ts';
import type { TruthOutcome, TruthRow } from '../truth.ts';

export interface ClientOptions {
  name: string;
  entryUrl: string;
  /** Time from one order to the next, milliseconds on average. */
  everyMs: number;
  /** After this time the outcome of an order is unknown. */
  timeoutMs: number;
  record: (row: TruthRow) => void;
}

/** Posts one order after the other on a kept-alive connection until told to stop. An order is sent once, never again. */
export async function runClient(options: ClientOptions, stop: AbortSignal): Promise<void> {
  const connection = new Client(options.entryUrl, {
    connect: { timeout: options.timeoutMs, noDelay: true },
    keepAliveTimeout: 60_000,
  });
  while (!stop.aborted) {
    const startedAtMs = performance.now();
    options.record(await order(connection, options));
    // Spread, so that the clients do not march in step.
    const pauseMs = options.everyMs * (0.5 + Math.random()) - (performance.now() - startedAtMs);
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: stop }).catch(() => {});
  }
  await connection.destroy();
}

async function order(connection: Client, { name, timeoutMs }: ClientOptions): Promise<TruthRow> {
  const id = randomUUID();
  const sentAtMs = Date.now();
  const { outcome, site, receipt } = await post(connection, name, timeoutMs, { id, customer: name, amountCents: 100 });
  const row: TruthRow = { id, client: name, sentAtMs, endAtMs: Date.now(), outcome, site };
  return receipt === undefined ? row : { ...row, receipt };
}

async function post(connection: Client, name: string, timeoutMs: number, body: object) {
  try {
    const {
      statusCode,
      headers,
      body: answer,
    } = await connection.request({
      method: 'POST',
      path: '/orders',
      headers: { 'content-type': 'application/json', 'x-client-id': name },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    // Half an answer is none: reading it to its end fails.
    const receipt = receiptIn(await answer.text());
    const site = headers['x-muster-site'];
    const outcome = outcomeOf(statusCode, headers[outcomeHeader]);
    return { outcome, site: typeof site === 'string' ? site : null, receipt };
  } catch (err) {
    return { outcome: neverSent(err) ? ('refused' as const) : ('unknown' as const), site: null, receipt: undefined };
  }
}

function receiptIn(text: string): TruthRow['receipt'] {
  return /"receipt":"(written|pending)"/.exec(text)?.[1] as TruthRow['receipt'];
}

/** Only an answer that says so is a refusal: of any other failure nobody knows. */
function outcomeOf(status: number, said: unknown): TruthOutcome {
  if (status === 200 || status === 201) return 'acked';
  const refused = (status >= 400 && status < 500) || said === 'refused';
  return refused && said !== 'unknown' ? 'refused' : 'unknown';
}

function neverSent(err: unknown): boolean {
  return err instanceof errors.ConnectTimeoutError || (err as NodeJS.ErrnoException).code === 'ECONNREFUSED';
}
