/** Two nodes on loopback: one serves drives, the other asks. */
import { randomBytes } from 'node:crypto';
import { type Clock, type Env } from '../../../storage-node/ports.ts';
import { type TailMemory } from '../../../storage-node/rpc/frame.ts';
import { type Security } from '../../../storage-node/rpc/identity.ts';
import { createPeer, type Peer, type PeerOptions } from '../../../storage-node/rpc/peer.ts';
import { createRpcServer, type RpcServer } from '../../../storage-node/rpc/server.ts';
import { type ControlHandler, type RpcServerOptions } from '../../../storage-node/rpc/server-options.ts';
import { type DriveApi } from '../../../storage-node/store/drive-api.ts';

export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
export const realEnv: Env = { clock: realClock, randomBytes: (count) => randomBytes(count) };

/** Memory that knows how much of it is handed out, and refuses to be given back twice. */
export function countedMemory(): {
  take: (size: number) => TailMemory;
  readonly inUse: number;
  readonly taken: number;
} {
  let inUse = 0;
  let taken = 0;
  return {
    take(size) {
      let released = false;
      inUse++;
      taken++;
      return {
        bytes: Buffer.alloc(size + 7),
        release() {
          if (released) throw new Error('released twice');
          released = true;
          inUse--;
        },
      };
    },
    get inUse() {
      return inUse;
    },
    get taken() {
      return taken;
    },
  };
}

export interface Loopback extends AsyncDisposable {
  server: RpcServer;
  peer: Peer;
  port: number;
  /** Why peers were turned away. */
  refused: string[];
  serverMemory: ReturnType<typeof countedMemory>;
  clientMemory: ReturnType<typeof countedMemory>;
}

export interface LoopbackOptions {
  drives?: Record<number, DriveApi>;
  controls?: Record<string, ControlHandler>;
  serverSecurity?: Security;
  clientSecurity?: Security;
  server?: Partial<RpcServerOptions>;
  peer?: Partial<PeerOptions>;
  /** The port to dial, where it is not the server's own. */
  dialPort?: (serverPort: number) => Promise<number>;
}

const clusterId = 'test-cluster';

export async function loopback(options: LoopbackOptions = {}): Promise<Loopback> {
  const refused: string[] = [];
  const serverMemory = countedMemory();
  const clientMemory = countedMemory();
  const server = createRpcServer({
    name: { clusterId, nodeId: '1' },
    security: options.serverSecurity ?? { kind: 'plain' },
    drives: new Map(Object.entries(options.drives ?? {}).map(([number, drive]) => [Number(number), drive])),
    controls: new Map(Object.entries(options.controls ?? {})),
    clock: realClock,
    take: serverMemory.take,
    refused: (reason) => refused.push(reason),
    ...options.server,
  });
  const port = await server.listen('127.0.0.1', 0);
  const peer = createPeer({
    name: { clusterId, nodeId: '0' },
    to: { nodeId: '1', host: '127.0.0.1', port: (await options.dialPort?.(port)) ?? port },
    security: options.clientSecurity ?? { kind: 'plain' },
    env: realEnv,
    take: clientMemory.take,
    ...options.peer,
  });
  return {
    server,
    peer,
    port,
    refused,
    serverMemory,
    clientMemory,
    async [Symbol.asyncDispose]() {
      peer.close();
      await server.close();
    },
  };
}
