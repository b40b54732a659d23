/** Hosts and ports as people write them: `node1.example.com:9000`, `10.0.0.1:9000`, `[2001:db8::1]:9000`. */
import { isIPv6 } from 'node:net';

export interface HostPort {
  /** As sockets take it: IPv6 without brackets, in its one short spelling. */
  host: string;
  port: number;
}

/** Undefined for what is no host with a port; `whyNoAddress` says what to do. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^/:\s[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, name, port] = match;
  const host = bracketed === undefined ? name : shortIpv6(bracketed);
  return host === undefined ? undefined : { host, port: Number(port) };
}

/** What to do about a text that is no host with a port, as the end of a sentence; empty when nothing special is wrong. */
export function whyNoAddress(text: string): string {
  const example = 'such as [2001:db8::1]:9000';
  const bracketed = /^\[([^\]]*)/.exec(text)?.[1];
  if (bracketed === undefined)
    return text.split(':').length > 2 ? `; an IPv6 address stands in brackets, ${example}` : '';
  if (bracketed.includes('%'))
    return '; an address with a zone means another place on every machine: use one without, or a name';
  return isIPv6(bracketed) ? '' : `; in the brackets stands no IPv6 address ${example}`;
}

/** One address has many spellings (RFC 4291); as one node it needs one. A zone is of one machine only, so no address. */
function shortIpv6(text: string): string | undefined {
  return isIPv6(text) && !text.includes('%') ? new URL(`http://[${text}]`).hostname.slice(1, -1) : undefined;
}

/** A host as it stands in a URL. */
export function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * The node's name in certificates and messages, which holds no colon: `node1-9000`, and of `::1` `0--1-9000`, since it
 * must begin with a letter or digit.
 */
export function nodeIdOf({ host, port }: HostPort): string {
  const name = host.includes(':') ? host.replaceAll(':', '-').replace(/^-/, '0-') : host;
  return `${name}-${port}`.toLowerCase();
}

/** The id of a node that somebody named by host and port, or by its id. */
export function nodeIdNamed(text: string): string {
  const at = parseHostPort(text);
  return at === undefined ? text.toLowerCase() : nodeIdOf(at);
}
