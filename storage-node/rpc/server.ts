import { type Socket } from 'node:net';
import { sleep } from '../ports.ts';
import { HandshakeError, type NodeName } from './handshake.ts';
import { connectionsMax } from './limits.ts';
import { type RpcServerOptions } from './server-options.ts';
import { Session } from './session.ts';
import { createListener, provenName, requireLoopback } from './transport.ts';

/** The side of a node that other nodes dial. */
export interface RpcServer {
  /** Port 0 takes a free one. @returns the port. @throws HandshakeError without TLS on an address that is not loopback. */
  listen(host: string, port: number): Promise<number>;
  /** Peers connected now (a peer has up to two connections). */
  readonly connections: number;
  /** Asks the peers for no more, waits up to `graceMs` for what is under way, and ends all connections. */
  close(graceMs?: number): Promise<void>;
}

export function createRpcServer(options: RpcServerOptions): RpcServer {
  const sessions = new Set<Session>();

  function accept(socket: Socket): void {
    // From here to the session's own handler an error would otherwise end the process.
    socket.on('error', () => {});
    const from = socket.remoteAddress ?? '';
    let certified: NodeName | undefined;
    try {
      if (options.security.kind === 'plain') requireLoopback(from);
      certified = provenName(socket);
    } catch (cause) {
      options.refused?.(cause instanceof HandshakeError ? cause.message : String(cause), from);
      socket.destroy();
      return;
    }
    const session: Session = new Session(socket, certified, options, () => sessions.delete(session));
    sessions.add(session);
  }

  const { server, stop } = createListener(options.security, {
    accepted: accept,
    refused: (reason, from) => options.refused?.(reason, from),
  });
  server.maxConnections = connectionsMax;
  // Beside the sessions: what is still in the handshake of TLS.
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  return {
    async listen(host, port) {
      if (options.security.kind === 'plain') requireLoopback(host);
      return await new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          const address = server.address();
          resolve(typeof address === 'object' && address !== null ? address.port : port);
        });
      });
    },
    get connections() {
      return sessions.size;
    },
    async close(graceMs = 0) {
      stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.sayGoodbye();
      const endsAtMs = options.clock.monotonicMs() + graceMs;
      const busy = (): boolean => [...sessions].some((session) => session.busy);
      while (busy() && options.clock.monotonicMs() < endsAtMs) await sleep(options.clock, 20);
      for (const session of [...sessions]) session.close(new Error('the node is stopping'));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
