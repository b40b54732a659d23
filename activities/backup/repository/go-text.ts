import { isUtf8 } from 'node:buffer';

/**
 * Text as restic's Go programs write it. Names of files are quoted as Go source (`strconv.Quote`), then all of it is
 * JSON as `encoding/json` writes it: a tree of the same files gets the same bytes, and so the same id.
 */

/** A name or a link target: a string where it is valid UTF-8, else its bytes. */
export type FileText = string | Uint8Array;

/** Bytes from the file system as `FileText`. */
export function fileText(bytes: Uint8Array): FileText {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString() : bytes;
}

/** By bytes, as restic sorts: JavaScript's own order of strings is another outside the basic plane. */
export function compareText(a: FileText, b: FileText): number {
  if (typeof a === 'string' && typeof b === 'string') {
    if (a === b) return 0;
    if (!highUnit.test(a) && !highUnit.test(b)) return a < b ? -1 : 1;
  }
  return Buffer.compare(Buffer.from(a as string), Buffer.from(b as string));
}

/** UTF-16 units from which on the order of units and that of bytes part. */
const highUnit = /[\ud800-\uffff]/;

/** What neither quoting nor JSON changes: nearly every name there is, told in one glance. */
const simple = /^[\w ./,:;+@=~#%^!$*?|()[\]{}-]*$/;
/** Everything that Go writes as it is: what it can print, but quotes and backslashes. */
const plain = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;
const quotable = /[\\"]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;
const shortEscapes: Record<string, string> = {
  '\\': '\\\\',
  '"': '\\"',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** `strconv.Quote` without the quotes around. */
export function quoteGo(text: FileText): string {
  if (typeof text !== 'string') return quoteBytes(text);
  if (simple.test(text) || (plain.test(text) && !/[\\"]/.test(text))) return text;
  return text.replaceAll(quotable, escapeGo);
}

function escapeGo(character: string): string {
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) as number;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

/** Each byte that is no part of valid UTF-8 is written as `\xNN`. */
function quoteBytes(bytes: Uint8Array): string {
  return piecesOf(bytes)
    .map((piece) => (typeof piece === 'number' ? `\\x${hex(piece, 2)}` : quoteGo(piece)))
    .join('');
}

/** Valid text and single wrong bytes, in order. */
function piecesOf(bytes: Uint8Array): (string | number)[] {
  const pieces: (string | number)[] = [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let begin = 0;
  for (let at = 0; at < buffer.length;) {
    const length = [1, 2, 3, 4].find((n) => at + n <= buffer.length && isUtf8(buffer.subarray(at, at + n)));
    if (length === undefined) {
      if (at > begin) pieces.push(buffer.toString('utf8', begin, at));
      pieces.push(buffer[at] as number);
      begin = at + 1;
    }
    at += length ?? 1;
  }
  if (begin < buffer.length) pieces.push(buffer.toString('utf8', begin));
  return pieces;
}

const escape = /\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))|\\/g;
const unescaped: Record<string, number> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, '"': 34 };

/** `strconv.Unquote` of what `quoteGo` made; null when Go would refuse it. */
export function unquoteGo(quoted: string): FileText | null {
  if (!quoted.includes('\\')) return quoted.includes('"') ? null : quoted;
  const parts: Buffer[] = [];
  let begin = 0;
  for (const found of quoted.matchAll(escape)) {
    const [whole, short, byte, four, eight, octal] = found;
    const between = quoted.slice(begin, found.index);
    if (whole === '\\' || between.includes('"')) return null;
    parts.push(Buffer.from(between));
    begin = found.index + whole.length;
    const single = short === undefined ? (parse(byte, 16) ?? parse(octal, 8)) : unescaped[short];
    const code = parse(four ?? eight, 16);
    if ((single ?? 0) > 255 || (code ?? 0) > 0x10ffff) return null;
    parts.push(single === undefined ? Buffer.from(String.fromCodePoint(code as number)) : Buffer.of(single));
  }
  const rest = quoted.slice(begin);
  return rest.includes('"') ? null : fileText(Buffer.concat([...parts, Buffer.from(rest)]));
}

function parse(digits: string | undefined, radix: number): number | undefined {
  return digits === undefined ? undefined : Number.parseInt(digits, radix);
}

/** A JSON string as Go up to 1.21 writes it (later ones shorten `\u0008`); wrong bytes become `\ufffd`. */
export function jsonGo(text: FileText): string {
  if (typeof text !== 'string') {
    return `"${piecesOf(text)
      .map((piece) => (typeof piece === 'number' ? '\\ufffd' : jsonGo(piece).slice(1, -1)))
      .join('')}"`;
  }
  if (simple.test(text)) return `"${text}"`;
  const json = JSON.stringify(text);
  // The backslash of an escape is the first of an odd number: `\\b` is a backslash and a letter.
  return json.replaceAll(/\\\\|[<>&\u2028\u2029]|\\[bf]/g, (found) => (found === '\\\\' ? found : jsonEscape(found)));
}

function jsonEscape(found: string): string {
  const code = found === '\\b' ? 8 : found === '\\f' ? 12 : found.charCodeAt(0);
  return `\\u${hex(code, 4)}`;
}
