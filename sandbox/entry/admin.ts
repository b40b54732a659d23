import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { readBody } from './http.ts';
import type { Proxy } from './proxy.ts';
import { entryModes } from './route-state.ts';

const routeOrder = z.strictObject({
  epoch: z.int().min(0),
  site: z.string().min(1),
  token: z.string().min(1).max(200),
});
/** `breakOff` ends what is under way to one site: nobody there will answer. */
const modeOrder = z.strictObject({ epoch: z.int().min(0), mode: z.enum(entryModes), breakOff: z.string().optional() });

interface Answer {
  status: number;
  body: unknown;
}

/**
 * The entry's admin API, bearer token, JSON: `GET /admin/state`, `GET /admin/series?since=<Unix ms>`,
 * `PUT /admin/route {epoch, site, token}` and `PUT /admin/mode {epoch, mode, breakOff?}`. A stale epoch is refused with 409.
 */
export function adminHandler(
  proxy: Proxy,
  token: string,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const expected = digest(`Bearer ${token}`);
  return async (message, response) => {
    const allowed = timingSafeEqual(digest(message.headers.authorization ?? ''), expected);
    const { status, body } = allowed
      ? await serve(proxy, message, response)
      : { status: 401, body: { error: 'who are you?' } };
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
}

async function serve(proxy: Proxy, message: IncomingMessage, response: ServerResponse): Promise<Answer> {
  const url = new URL(message.url ?? '/', 'http://entry');
  try {
    switch (`${message.method} ${url.pathname}`) {
      case 'GET /admin/state':
        return { status: 200, body: proxy.state() };
      case 'GET /admin/series':
        return {
          status: 200,
          body: { nowMs: Date.now(), series: proxy.traffic.series(Number(url.searchParams.get('since') ?? 0)) },
        };
      case 'PUT /admin/route':
        return ordered(proxy, await proxy.route(routeOrder.parse(await json(message, response))));
      case 'PUT /admin/mode':
        return ordered(proxy, await proxy.setMode(modeOrder.parse(await json(message, response))));
      default:
        return { status: 404, body: { error: `no ${message.method} ${url.pathname}` } };
    }
  } catch (err) {
    if (err instanceof z.ZodError) return { status: 400, body: { error: z.prettifyError(err) } };
    if (err instanceof SyntaxError) return { status: 400, body: { error: 'the body is no JSON' } };
    return { status: 500, body: { error: err instanceof Error ? err.message : String(err) } };
  }
}

function ordered(proxy: Proxy, refusal: string | null): Answer {
  return refusal === null ? { status: 200, body: proxy.state() } : { status: 409, body: { error: refusal } };
}

async function json(message: IncomingMessage, response: ServerResponse): Promise<unknown> {
  const body = await readBody(message, response);
  return JSON.parse(body?.toString() ?? '') as unknown;
}

/** Equal lengths, whatever was sent, so that comparing takes the same time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
