import { createHash } from 'node:crypto';
import type { Json } from '../../workflows/engine/plan.ts';

/** What `JSON.stringify` takes from plain data: fields that are `undefined` are left out. */
type Plain = Json | undefined | readonly Plain[] | { readonly [key: string]: Plain };

/**
 * One text for one value, whatever the order of its keys: RFC 8785 (keys by UTF-16 code units, no blanks, numbers and
 * strings as ECMAScript prints them). Accepts what JSON can hold; numbers that it cannot (NaN, Infinity) become null,
 * as `JSON.stringify` does, so that a value and its stored copy give the same text.
 */
export function canonicalJson(value: unknown): string {
  return write(value as Plain);
}

function write(value: Plain): string {
  if (Array.isArray(value)) return `[${value.map((item: Plain) => write(item)).join(',')}]`;
  if (value === null || value === undefined || typeof value !== 'object') return JSON.stringify(value ?? null);
  const fields = Object.entries(value as Record<string, Plain>)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${write(field)}`);
  return `{${fields.join(',')}}`;
}

/** SHA-256 of UTF-8 text, lower-case hex. */
export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** Text as PostgreSQL's `text` can keep it: no NUL, no half of a surrogate pair. Hashes are taken over this form. */
export function storableText(text: string): string {
  return Buffer.from(text.replaceAll('\0', '\uFFFD'), 'utf8').toString('utf8');
}
