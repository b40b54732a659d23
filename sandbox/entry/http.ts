import type { IncomingMessage, ServerResponse } from 'node:http';

/** Says of a failed request whether it may have happened (`unknown`) or surely has not (`refused`). */
export const outcomeHeader = 'x-muster-outcome';

const maxBodyBytes = 1024 * 1024;

/** Headers that belong to one connection (RFC 9110, section 7.6.1), and those that undici writes itself. */
const ownToConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'expect',
]);

export function forwardable(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (!ownToConnection.has(name.toLowerCase())) kept.push(name, rawHeaders[i + 1] ?? '');
  }
  return kept;
}

/** @returns the body, null when there is none, undefined when the request has been answered or its client is gone */
export function readBody(message: IncomingMessage, response: ServerResponse): Promise<Buffer | null | undefined> {
  const { headers } = message;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (!hasBody) return Promise.resolve(null);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    message.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBodyBytes) return void chunks.push(chunk);
      if (response.headersSent) return;
      response.setHeader('connection', 'close');
      answer(response, 413, {}, null);
      resolve(undefined);
    });
    message.once('end', () => resolve(Buffer.concat(chunks)));
    message.once('close', () => resolve(undefined));
  });
}

export function answer(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: Buffer | null,
): void {
  if (response.destroyed || response.headersSent) return;
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !ownToConnection.has(name)) response.setHeader(name, value);
  }
  const bodiless = status === 204 || status === 304 || response.req.method === 'HEAD';
  const length = response.req.method === 'HEAD' ? headers['content-length'] : String(body?.length ?? 0);
  if (status !== 204 && length !== undefined) response.setHeader('content-length', length);
  response.writeHead(status);
  response.end(bodiless ? undefined : (body ?? undefined));
}
