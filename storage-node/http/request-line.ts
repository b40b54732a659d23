import { S3Error } from './s3-error.ts';

/** The request line, decoded once from its raw bytes. Nothing is normalized: a key may hold `..`, `//` and `%`. */
export interface RequestLine {
  /** As it came, for the signature. */
  rawPath: string;
  path: string;
  /** In the order they came, as they came. */
  rawQuery: readonly (readonly [name: string, value: string])[];
  query: ReadonlyMap<string, string>;
}

/** @throws S3Error InvalidURI, InvalidArgument for a parameter given twice. */
export function parseRequestLine(url: string): RequestLine {
  const mark = url.indexOf('?');
  const rawPath = mark < 0 ? url : url.slice(0, mark);
  if (!rawPath.startsWith('/')) throw new S3Error('InvalidURI', 400, 'Could not parse the specified URI.');
  const rawQuery = mark < 0 ? [] : splitQuery(url.slice(mark + 1));
  const query = new Map<string, string>();
  for (const [name, value] of rawQuery) {
    const decoded = decode(name);
    if (query.has(decoded)) {
      throw new S3Error('InvalidArgument', 400, `The query parameter ${decoded} was given twice.`);
    }
    query.set(decoded, decode(value));
  }
  return { rawPath, path: decode(rawPath), rawQuery, query };
}

function splitQuery(text: string): [string, string][] {
  return text
    .split('&')
    .filter((piece) => piece !== '')
    .map((piece) => {
      const equals = piece.indexOf('=');
      return equals < 0 ? [piece, ''] : [piece.slice(0, equals), piece.slice(equals + 1)];
    });
}

/** Percent-decoding to UTF-8. @throws S3Error InvalidURI for what is neither. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error('InvalidURI', 400, 'Could not parse the specified URI.');
  }
}

/** RFC 3986 encoding as both signature versions want it: everything but unreserved characters, in capitals. */
export function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
