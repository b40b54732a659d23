import { type Env } from '../ports.ts';
import { type CallOptions, DriveUnavailable } from '../store/drive-api.ts';
import { type CallTarget, UnaryCall } from './call.ts';
import { type CallCodec } from './call-codec.ts';
import { Channel, type ChannelTimes, defaultTimes } from './channel.ts';
import { controlCall } from './control-codec.ts';
import { type TakeTail } from './frame.ts';
import { type NodeName } from './handshake.ts';
import { type Security } from './identity.ts';
import { type Link } from './link.ts';
import { createPeerHealth, defaultSilentMs, type PeerHealth, RemoteDriveHealth } from './peer-health.ts';
import { type NodeAddress } from './transport.ts';

export interface PeerOptions {
  /** This node. */
  name: NodeName;
  /** The other one. */
  to: NodeAddress;
  security: Security;
  env: Env;
  /** Memory for arriving shard blocks, such as `kernels.arena.take`. */
  take: TakeTail;
  /** How long a call without a deadline of its own waits, milliseconds. */
  callDeadlineMs?: number;
  /** After so much silence a peer that was asked something is suspect, milliseconds. */
  silentMs?: number;
  times?: Partial<ChannelTimes>;
}

/** Another node of the cluster. Connections are made when first needed, and again when lost. */
export interface Peer {
  readonly nodeId: string;
  readonly health: PeerHealth;
  /** Two connections, so that bulk in the system's buffers never delays a small call. */
  readonly calls: Channel;
  readonly bulk: Channel;
  readonly env: Env;
  /** A named call, answered by the handler of that name. @throws what the handler threw, or DriveUnavailable. */
  control(name: string, body: unknown, options?: CallOptions): Promise<unknown>;
  /** What calls of a drive of this peer have in common. */
  target(drive: number, health: RemoteDriveHealth | undefined, options: CallOptions | undefined): CallTarget;
  /** Health of one of the peer's drives. */
  driveHealth(): RemoteDriveHealth;
  /** Resolves once the peer answers on both connections. @throws DriveUnavailable. */
  connect(): Promise<void>;
  close(): void;
}

export function createPeer(options: PeerOptions): Peer {
  const { env, to, security } = options;
  const silentMs = options.silentMs ?? defaultSilentMs;
  const deadlineMs = options.callDeadlineMs ?? 30_000;
  const times = { ...defaultTimes, ...options.times };
  const common = { ...options, clock: env.clock, times };
  const calls: Channel = new Channel({ ...common, knownDown: () => bulk.downReason !== undefined });
  const bulk: Channel = new Channel({ ...common, knownDown: () => calls.downReason !== undefined });
  const channels = [calls, bulk];
  const health = createPeerHealth({ clock: env.clock, calls, bulk, silentMs });
  const stopFollowing =
    security.kind === 'tls'
      ? security.identity.subscribe(() => channels.forEach((channel) => channel.renew()))
      : undefined;

  const peer: Peer = {
    nodeId: to.nodeId,
    health,
    calls,
    bulk,
    env,
    control: (name, body, callOptions) =>
      ask(peer, controlCall, { name, body }, peer.target(0, undefined, callOptions)),
    target: (drive, driveHealth, callOptions) => ({
      clock: env.clock,
      drive,
      health: driveHealth,
      options: callOptions,
      deadlineMs,
    }),
    driveHealth: () => new RemoteDriveHealth(health, env.clock, silentMs),
    async connect() {
      await Promise.all(channels.map((channel) => opened(channel)));
    },
    close() {
      stopFollowing?.();
      for (const channel of channels) channel.close();
    },
  };
  return peer;
}

/** Asks a peer something that has one answer. */
export function ask<Request, Reply>(
  peer: Peer,
  codec: CallCodec<Request, Reply>,
  request: Request,
  target: CallTarget,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    peer[codec.channel].use(new UnaryCall(codec, request, target, { resolve, reject }));
  });
}

function opened(channel: Channel): Promise<Link> {
  return new Promise((resolve, reject) => {
    channel.use({ start: resolve, onError: (error) => reject(new DriveUnavailable(error.message, { cause: error })) });
  });
}
