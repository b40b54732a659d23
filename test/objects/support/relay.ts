import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What happens to bytes on their way. Each is asked for every piece, and may spoil it. */
export interface Faults {
  /** From client to server. `hold`: from here on nothing is taken any more; `cut`: the connection is broken off. */
  up?: (piece: Buffer, link: Link) => Buffer | 'hold' | 'cut';
  /** From server to client. */
  down?: (piece: Buffer, link: Link) => Buffer | 'hold' | 'cut';
}

/** One connection, for faults that depend on what it carried. */
export interface Link {
  /** The head of the request under way. */
  head: string;
  upBytes: number;
  downBytes: number;
}

/** Carries bytes between a client and a server, and does to them what is asked. */
export interface Relay {
  endpoint: string;
  faults: Faults;
  /** How many connections were made. */
  links: number;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startRelay(behind: string): Promise<Relay> {
  const to = new URL(behind);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    relay.links += 1;
    const upstream = connect({ host: to.hostname, port: Number(to.port), noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    carry(client, upstream, relay);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const relay: Relay = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: {},
    links: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
  return relay;
}

function carry(client: Socket, upstream: Socket, relay: Relay): void {
  const link: Link = { head: '', upBytes: 0, downBytes: 0 };
  const cut = (): void => {
    client.destroy();
    upstream.destroy();
  };
  client.on('data', (piece: Buffer) => {
    if (/^(GET|HEAD|PUT|POST|DELETE) \//.test(piece.toString('latin1', 0, 8))) {
      link.head = piece.toString('latin1').split('\r\n\r\n')[0]!;
      link.upBytes = 0;
      link.downBytes = 0;
    }
    const passed = relay.faults.up === undefined ? piece : relay.faults.up(piece, link);
    link.upBytes += piece.length;
    if (passed === 'hold') client.pause();
    else if (passed === 'cut') cut();
    else upstream.write(passed);
  });
  upstream.on('data', (piece: Buffer) => {
    const passed = relay.faults.down === undefined ? piece : relay.faults.down(piece, link);
    link.downBytes += piece.length;
    if (passed === 'hold') upstream.pause();
    else if (passed === 'cut') cut();
    else client.write(passed);
  });
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.end());
}
