import { createServer, request, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo } from 'node:net';

/** One request as it went by. */
export interface Passing {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
}

/** What a relay does to what goes by. */
export interface RelayRule {
  /** Before it is passed on; a status answers it instead. */
  before?: (passing: Passing) => { status: number; body: string } | undefined | Promise<undefined>;
  /** Changes bytes on their way to the client. */
  answer?: (passing: Passing, chunk: Buffer) => Buffer;
  /** After the answer was passed on whole. */
  after?: (passing: Passing, status: number) => void;
}

export interface Relay extends AsyncDisposable {
  endpoint: string;
  rule: RelayRule;
}

/** An HTTP hop that keeps the Host header, so that signatures hold. */
export async function startRelay(to: string): Promise<Relay> {
  const target = new URL(to);
  const relay = { rule: {} as RelayRule };
  const server = createServer((incoming, outgoing) => {
    const passing = { method: incoming.method!, url: incoming.url!, headers: incoming.headers };
    void (async () => {
      const instead = await relay.rule.before?.(passing);
      if (instead !== undefined) {
        incoming.resume();
        incoming.on('end', () =>
          outgoing.writeHead(instead.status, { 'content-type': 'application/xml' }).end(instead.body),
        );
        return;
      }
      const sent = request(
        {
          host: target.hostname,
          port: target.port,
          method: passing.method,
          path: passing.url,
          headers: incoming.headers,
        },
        (answer) => {
          outgoing.writeHead(answer.statusCode!, answer.headers);
          answer.on('data', (chunk: Buffer) => outgoing.write(relay.rule.answer?.(passing, chunk) ?? chunk));
          answer.on('end', () => {
            outgoing.end();
            relay.rule.after?.(passing, answer.statusCode!);
          });
          answer.on('error', () => outgoing.destroy());
        },
      );
      sent.on('error', () => outgoing.destroy());
      incoming.on('error', () => sent.destroy());
      incoming.pipe(sent);
      outgoing.on('close', () => sent.destroy());
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get rule() {
      return relay.rule;
    },
    set rule(rule) {
      relay.rule = rule;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
