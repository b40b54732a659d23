import { invalidArgument, invalidRequest } from './refusals.ts';
import { encodeUrl } from './url-encoding.ts';
import { escapeXml } from './xml.ts';
import { type XmlRows } from './xml-rows.ts';

type Query = ReadonlyMap<string, string>;

/** S3 lists no more than this at once, whatever is asked for. */
const maxPage = 1000;

/**
 * How many rows a page may have: what the client asks for, at most 1,000.
 * @throws S3Error InvalidArgument for what is no whole number from 0 to 2,147,483,647.
 */
export function pageSizeOf(query: Query, name: string): number {
  const text = query.get(name);
  if (text === undefined || text === '') return maxPage;
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= 2 ** 31 - 1) return Math.min(number, maxPage);
  throw invalidArgument(`Provided ${name} not an integer or within integer range`, name, text);
}

/** How keys are written into a listing: escaped, or percent-encoded where the client asked for that. */
export type KeyWriter = (text: string) => string;

/** @throws S3Error InvalidArgument for an encoding other than `url`. */
export function keyWriterOf(query: Query): KeyWriter {
  const encoding = query.get('encoding-type');
  if (encoding === undefined || encoding === '') return escapeXml;
  if (encoding.toLowerCase() === 'url') return encodeUrl;
  throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', encoding);
}

/** What every listing repeats of the request: name, prefix, delimiter, page size and encoding. */
export function listingHead(query: Query, input: { bucket: string; write: KeyWriter }): string {
  const { bucket, write } = input;
  const delimiter = query.get('delimiter') ?? '';
  return (
    `<Name>${bucket}</Name><Prefix>${write(query.get('prefix') ?? '')}</Prefix>` +
    (delimiter === '' ? '' : `<Delimiter>${write(delimiter)}</Delimiter>`) +
    (write === escapeXml ? '' : '<EncodingType>url</EncodingType>')
  );
}

/** The rolled-up prefixes of a page. */
export function addPrefixes(out: XmlRows, prefixes: readonly string[], write: KeyWriter): void {
  for (const prefix of prefixes) out.add(`<CommonPrefixes><Prefix>${write(prefix)}</Prefix></CommonPrefixes>`);
}

/** A place in a listing as a client is given it: not to be read, not to be made up. */
export function continuationToken(after: string): string {
  return Buffer.from(`1${after}`).toString('base64url');
}

/** @throws S3Error InvalidArgument for a token that was not given out. */
export function parseContinuationToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString('utf8');
  if (text.startsWith('1') && continuationToken(text.slice(1)) === token) return text.slice(1);
  throw invalidArgument('The continuation token provided is incorrect', 'continuation-token', token);
}

/** @throws S3Error when a listing's second marker is there without the first. */
export function refuseLoneMarker(query: Query, marker: string, lone: string): void {
  if ((query.get(lone) ?? '') === '' || (query.get(marker) ?? '') !== '') return;
  if (lone === 'version-id-marker') {
    const message = 'A version-id marker cannot be specified without a key marker.';
    throw invalidArgument(message, lone, query.get(lone)!);
  }
  throw invalidRequest(`The ${lone} cannot be used without a ${marker}.`);
}
