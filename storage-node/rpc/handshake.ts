/** The first message of either side: who it is, of which cluster, and which protocol it speaks. */
import { WireReader, type WireWriter } from './wire.ts';

/** Versions of this protocol this build speaks. A peer with none of them is told which side is the older one. */
export const protocolVersions = { oldest: 1, newest: 1 } as const;
const protocolName = 'muster-storage-node';

export interface Hello {
  clusterId: string;
  nodeId: string;
  oldest: number;
  newest: number;
}

/** What a node says of itself. */
export interface NodeName {
  clusterId: string;
  nodeId: string;
}

/** The peer is not one to talk to; the message says why and what to do. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

/** This form never changes, in no version; fields are only added at its end. */
export function writeHello(writer: WireWriter, name: NodeName): void {
  writer.text(protocolName);
  writer.count(protocolVersions.oldest);
  writer.count(protocolVersions.newest);
  writer.text(name.clusterId);
  writer.text(name.nodeId);
}

/** @throws HandshakeError when it is no hello. */
export function readHello(body: Buffer): Hello {
  try {
    const reader = new WireReader(body);
    if (reader.text() !== protocolName) throw new HandshakeError('the peer speaks another protocol');
    const oldest = reader.count();
    const newest = reader.count();
    return { oldest, newest, clusterId: reader.text(), nodeId: reader.text() };
  } catch (cause) {
    if (cause instanceof HandshakeError) throw cause;
    throw new HandshakeError('the peer speaks another protocol', { cause });
  }
}

/**
 * Judges a peer's hello.
 * @param certified the name in the peer's certificate, which is all that counts; undefined without TLS
 * @param expected the node that was dialled; undefined on the accepting side
 * @returns the protocol version to speak
 * @throws HandshakeError
 */
export function judgeHello(
  hello: Hello,
  our: { clusterId: string; certified: NodeName | undefined; expected: string | undefined },
): number {
  const { oldest, newest } = protocolVersions;
  if (hello.oldest > newest || hello.newest < oldest) {
    const side = hello.oldest > newest ? 'newer' : 'older';
    throw new HandshakeError(
      `node ${hello.nodeId} speaks protocol ${hello.oldest} to ${hello.newest}, this node ${oldest} to ${newest}: ` +
        `the peer is the ${side} one, update ${side === 'newer' ? 'this node' : 'the peer'}`,
    );
  }
  if (hello.clusterId !== our.clusterId) {
    throw new HandshakeError(`the peer belongs to cluster ${hello.clusterId}, this node to ${our.clusterId}`);
  }
  if (our.expected !== undefined && hello.nodeId !== our.expected) {
    throw new HandshakeError(`node ${hello.nodeId} answers where node ${our.expected} was expected`);
  }
  const { certified } = our;
  if (certified !== undefined && (certified.clusterId !== hello.clusterId || certified.nodeId !== hello.nodeId)) {
    throw new HandshakeError(
      `the peer says it is node ${hello.nodeId}, its certificate is that of node ${certified.nodeId} of cluster ${certified.clusterId}`,
    );
  }
  return Math.min(newest, hello.newest);
}
