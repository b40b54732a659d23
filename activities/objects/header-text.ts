import { isUtf8 } from 'node:buffer';

/** Header bytes come as Latin-1. They are UTF-8 where that fits; what is not stays as it came. */
export function textOf(value: string): string {
  if (!/[^\u0000-\u007f]/.test(value)) return value;
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : value;
}

/** A text as the bytes of its UTF-8, one character each, which is how undici writes a header. */
export function bytesOfText(text: string): string {
  return /[^\u0000-\u007f]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/**
 * User metadata as it goes into a header: what is not ASCII as one encoded word of RFC 2047. Stores answer it so
 * themselves (S3 "Working with object metadata"), and servers disagree on what a signature over other bytes covers.
 */
export function writeMetadata(text: string): string {
  return /[^\u0000-\u007f]/.test(text) ? `=?UTF-8?B?${Buffer.from(text, 'utf8').toString('base64')}?=` : text;
}

/** The same back: encoded words of both kinds, and plain UTF-8 from stores that were sent it. */
export function readMetadata(value: string): string {
  const word = /^=\?utf-8\?([bq])\?([^? ]*)\?=$/i.exec(value);
  if (word === null) return textOf(value);
  const bytes = word[1]!.toLowerCase() === 'b' ? Buffer.from(word[2]!, 'base64') : quotedBytes(word[2]!);
  const text = bytes.toString('utf8');
  // Somebody's own text that only looks like one: nobody encodes ASCII.
  return isUtf8(bytes) && /[^\u0000-\u007f]/.test(text) ? text : value;
}

function quotedBytes(text: string): Buffer {
  const plain = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1');
}
