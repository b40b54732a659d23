/** Sockets between nodes: TLS 1.3 with certificates of the cluster's authority on both sides, or loopback in the open. */
import { X509Certificate } from 'node:crypto';
import net, { type Server, type Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { HandshakeError, type NodeName } from './handshake.ts';
import { certifiedName, type NodeIdentity, type Security } from './identity.ts';
import { type Feed, onReadOf } from './socket-reading.ts';

/** Where a node listens for its peers. */
export interface NodeAddress {
  nodeId: string;
  host: string;
  port: number;
}

/** AES-128 first: measured the cheapest of the three, and no weaker than the rest of the handshake. */
const cipherSuites = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

const loopback = new net.BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** @throws HandshakeError unless the address is one of this machine only. */
export function requireLoopback(host: string): void {
  const family = net.isIP(host);
  const local = host === 'localhost' || (family !== 0 && loopback.check(host, family === 4 ? 'ipv4' : 'ipv6'));
  if (!local) throw new HandshakeError(`no connection without TLS but on loopback, and ${host} is not`);
}

function contextOf(identity: NodeIdentity): tls.SecureContextOptions {
  return {
    ca: [...identity.authorities],
    cert: identity.certificate,
    key: identity.key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: cipherSuites,
  };
}

/** Dials a node. @throws HandshakeError for a plain connection that would leave the machine. */
export function dial(to: NodeAddress, security: Security, feed: Feed): Socket {
  const onread = onReadOf(feed);
  if (security.kind === 'plain') {
    requireLoopback(to.host);
    return net.connect({ host: to.host, port: to.port, onread });
  }
  const identity = security.identity.current();
  // `onread` reaches the socket though the types of `tls.connect` do not name it.
  const options: tls.ConnectionOptions & { onread: net.OnReadOpts } = {
    ...contextOf(identity),
    host: to.host,
    port: to.port,
    onread,
    checkServerIdentity: (_host, peer) => mismatch(peer.raw, { ...identity.name, nodeId: to.nodeId }),
  };
  return tls.connect(options);
}

/** The event that says that a dialled socket may be written to. */
export function connectEvent(security: Security): 'connect' | 'secureConnect' {
  return security.kind === 'plain' ? 'connect' : 'secureConnect';
}

/** The node's name is what binds, not its address: nodes move, and addresses are given to others. */
function mismatch(certificate: Buffer, expected: NodeName): Error | undefined {
  const name = certifiedName(new X509Certificate(certificate));
  if (name === undefined) return new HandshakeError('the certificate of the peer is not one of a node');
  if (name.clusterId === expected.clusterId && name.nodeId === expected.nodeId) return undefined;
  return new HandshakeError(
    `the certificate is that of node ${name.nodeId} of cluster ${name.clusterId}, ` +
      `node ${expected.nodeId} of cluster ${expected.clusterId} was expected`,
  );
}

/** The name a connected peer proved; undefined without TLS. @throws HandshakeError when it proved none. */
export function provenName(socket: Socket): NodeName | undefined {
  if (!(socket instanceof tls.TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  const name = certificate === undefined || !socket.authorized ? undefined : certifiedName(certificate);
  if (name === undefined) throw new HandshakeError('the certificate of the peer is not one of a node');
  return name;
}

/** What a listener tells of. */
export interface ListenerEvents {
  accepted(socket: Socket): void;
  /** A peer that did not get through TLS, with why. */
  refused(reason: string, from: string): void;
}

export interface Listener {
  server: Server;
  /** Stops following changes of the identity. */
  stop(): void;
}

/** How long a peer may take for the handshake of TLS, milliseconds. */
const handshakeTimeoutMs = 5_000;

export function createListener(security: Security, events: ListenerEvents): Listener {
  if (security.kind === 'plain') {
    return { server: net.createServer((socket) => events.accepted(socket)), stop: () => {} };
  }
  const { identity } = security;
  const server = tls.createServer(
    {
      ...contextOf(identity.current()),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: handshakeTimeoutMs,
    },
    (socket) => events.accepted(socket),
  );
  server.on('tlsClientError', (cause: Error, socket: TLSSocket) => {
    // Of a certificate that is not believed, Node says no more in the error than that the socket hung up.
    const unbelieved = socket.authorizationError as Error | string | null | undefined;
    events.refused(String(unbelieved ?? cause.message), socket.remoteAddress ?? 'a peer that is gone');
  });
  // Connections that are open stay; the next handshake uses what is current then.
  const stop = identity.subscribe(() => server.setSecureContext(contextOf(identity.current())));
  return { server, stop };
}
