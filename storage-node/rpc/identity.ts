/** Who a node is, as its certificate says. */
import { type X509Certificate } from 'node:crypto';
import { type NodeName } from './handshake.ts';

/** What a node shows and what it trusts. All PEM. */
export interface NodeIdentity {
  name: NodeName;
  /** Authorities whose certificates are believed: one, or two while they are being changed. */
  authorities: readonly string[];
  certificate: string;
  key: string;
  expiresAtMs: number;
}

/** The identity of this moment; certificates change while the node runs. */
export interface IdentitySource {
  current(): NodeIdentity;
  /** Tells when `current` has changed. Answers how to stop that. */
  subscribe(changed: () => void): () => void;
}

/** How nodes speak to each other. `plain` is for loopback addresses only and must be asked for. */
export type Security = { kind: 'plain' } | { kind: 'tls'; identity: IdentitySource };

/** A node id: what stands in certificates, so nothing that could be taken for another field. */
export const nameForm = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

/** The name's form in a certificate: a URI among the subject's alternative names. */
export function nameUri({ clusterId, nodeId }: NodeName): string {
  return `muster://${clusterId}/node/${nodeId}`;
}

/** The node a certificate was made for; undefined when it is not one of a node, or not of exactly one. */
export function certifiedName(certificate: X509Certificate): NodeName | undefined {
  // Node quotes a name that holds a comma or the like; none of ours does, so whatever is quoted is not taken.
  const names = (certificate.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'));
  const match = names.length === 1 ? /^URI:muster:\/\/([^/]+)\/node\/([^/]+)$/.exec(names[0]!) : null;
  if (match === null) return undefined;
  const [, clusterId = '', nodeId = ''] = match;
  return nameForm.test(clusterId) && nameForm.test(nodeId) ? { clusterId, nodeId } : undefined;
}

/** An identity that never changes. */
export function fixedIdentity(identity: NodeIdentity): IdentitySource {
  return { current: () => identity, subscribe: () => () => {} };
}
