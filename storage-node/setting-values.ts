/** Which texts are values of a setting. */
import { isIP } from 'node:net';

/** Digits and at most one point: no sign, blank, exponent, other base or separator. Undefined for anything else. */
export function decimal(text: string, bounds: { from: number; to: number }): number | undefined {
  if (!/^\d{1,15}(\.\d{1,9})?$/.test(text)) return undefined;
  const value = Number(text);
  return value >= bounds.from && value <= bounds.to ? value : undefined;
}

/** Undefined for what is neither yes nor no. */
export function yesOrNo(text: string): boolean | undefined {
  if (['1', 'true', 'yes'].includes(text)) return true;
  return ['0', 'false', 'no'].includes(text) ? false : undefined;
}

/** What is wrong with the name of an account, which stands in the credential scope `name/date/region/...` of requests. */
export function whyNoUser(name: string): string | undefined {
  if (name.length < 3 || name.length > 128)
    return 'must be set, at least 3 and at most 128 characters; there is no default';
  // Of what is not ASCII, a header could not hold all and signers do not agree on the rest.
  return /^[!-~]+$/.test(name) && !/[/:,=]/.test(name)
    ? undefined
    : 'holds a character that breaks signatures: use letters, digits and signs of ASCII but / : , = and blanks';
}

/** Lower-case names from a list with commas, and the pieces of it that are no names. */
export function domainNames(text: string): { names: string[]; wrong: string[] } {
  const pieces = text
    .split(',')
    .map((piece) => piece.trim().toLowerCase())
    .filter((piece) => piece !== '');
  return { names: pieces.filter(isDnsName), wrong: pieces.filter((piece) => !isDnsName(piece)) };
}

/** RFC 1123: labels of letters, digits and inner dashes. An address is none: no bucket's name can stand before it. */
function isDnsName(name: string): boolean {
  if (name.length > 253 || isIP(name) !== 0) return false;
  return name.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
}

/** An address or a name to listen on, as sockets take it: IPv6 without brackets. Undefined for anything else. */
export function listenHost(text: string): string | undefined {
  const bare = /^\[(.+)\]$/.exec(text)?.[1];
  if (bare !== undefined) return isIP(bare) === 6 ? bare : undefined;
  return isIP(text) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text) ? text : undefined;
}
