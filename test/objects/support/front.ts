import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';

/** An answer that is given in the server's place. */
export interface Scripted {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** A server in front of another: answers some requests itself and hands on the rest. */
export interface Front {
  endpoint: string;
  /** `METHOD /path` of every request that came. */
  seen: string[];
  /** Asked for each request, with how many came before; undefined hands it on. */
  script: (request: string, before: number) => Scripted | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startFront(behind: string): Promise<Front> {
  const to = new URL(behind);
  const server = createServer((request, response) => {
    const name = `${request.method} ${request.url}`;
    const scripted = front.script(name, front.seen.length);
    front.seen.push(name);
    if (scripted === undefined) handOn(to, request, response);
    else answer(request, response, scripted);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const front: Front = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    script: () => undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
  return front;
}

function answer(request: IncomingMessage, response: ServerResponse, { status, headers, body = '' }: Scripted): void {
  request.resume().on('end', () => {
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
}

/** With the same headers, the host's name among them: it is signed. */
function handOn(to: URL, request: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = request;
  const onward = httpRequest({ host: to.hostname, port: to.port, method: method!, path: url!, headers }, (answered) => {
    response.writeHead(answered.statusCode!, answered.rawHeaders);
    answered.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}

/** An error document as S3 writes it. */
export function errorDocument(code: string, message = 'as the script says'): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>SCRIPT1</RequestId></Error>`;
}
