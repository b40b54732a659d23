import net, { type Socket } from 'node:net';

/** A relay between two nodes that can lose, hold and cut what passes. */
export interface Relay extends AsyncDisposable {
  port: number;
  /** Bytes are taken and not passed on, either way; the connections stay. */
  swallowing: boolean;
  /** Bytes are not even taken: the sender's buffers fill. */
  hold(holding: boolean): void;
  /** Resets every connection; new ones are accepted. */
  cut(): void;
  /** New connections are reset, or accepted again. */
  refusing: boolean;
  /** Connections accepted so far. */
  readonly accepted: number;
}

export async function startRelay(targetPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  let holding = false;
  const server = net.createServer((near) => {
    accepted++;
    if (relay.refusing) {
      near.resetAndDestroy();
      return;
    }
    const far = net.connect(targetPort, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (chunk) => {
        if (relay.swallowing) return;
        if (!to.write(chunk)) {
          from.pause();
          to.once('drain', () => {
            if (!holding) from.resume();
          });
        }
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (holding) from.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const relay: Relay = {
    port: (server.address() as net.AddressInfo).port,
    swallowing: false,
    refusing: false,
    hold(hold) {
      holding = hold;
      for (const socket of sockets) {
        if (hold) socket.pause();
        else socket.resume();
      }
    },
    cut() {
      for (const socket of [...sockets]) socket.resetAndDestroy();
    },
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of [...sockets]) socket.destroy();
      await closed;
    },
  };
  return relay;
}
