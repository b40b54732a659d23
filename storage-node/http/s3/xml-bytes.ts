import { escapeXml, xmlHead, xmlTail } from './xml.ts';
import { dayText, dayMs } from './dates.ts';
import { type Answer } from '../operation.ts';
import { encodeUrl } from './url-encoding.ts';

/** How keys are written into a listing: escaped, or percent-encoded where the client asked for that. */
export type KeyWriter = typeof escapeXml | typeof encodeUrl;

/** For each ASCII character whether `write` leaves it as it is. */
function plainTable(write: KeyWriter): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => Number(write(String.fromCharCode(code)).length === 1));
}
const escapePlain = plainTable(escapeXml);
const encodePlain = plainTable(encodeUrl);

/**
 * A document with many rows, written as bytes at once. Strings that are put together piece by piece have to be taken
 * apart again to be sent, which costs three times as much as writing them (a page of 1,000 keys: 1.3 ms and 0.4 ms).
 */
export class XmlBytes {
  #bytes: Buffer;
  #at = 0;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafe(expectedBytes);
  }

  /** Adds XML. */
  add(text: string): void {
    const { length } = text;
    this.#reserve(length * 3);
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#at += bytes.write(text, at);
        return;
      }
      bytes[at + i] = code;
    }
    this.#at = at + length;
  }

  /** Adds a key or prefix as `write` writes it. */
  addKey(key: string, write: KeyWriter): void {
    const { length } = key;
    this.#reserve(length);
    const plain = write === escapeXml ? escapePlain : encodePlain;
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < length; i++) {
      const code = key.charCodeAt(i);
      if (code > 0x7f || plain[code] === 0) {
        this.add(write(key));
        return;
      }
      bytes[at + i] = code;
    }
    this.#at = at + length;
  }

  /** Adds a time in whole seconds, as `isoTime` writes it. */
  addTime(unixMs: number): void {
    const day = Math.floor(unixMs / dayMs);
    this.add(dayText(day));
    const second = Math.floor((unixMs - day * dayMs) / 1000);
    const minute = Math.floor(second / 60);
    this.#addTwo(Math.floor(minute / 60), 0x3a);
    this.#addTwo(minute % 60, 0x3a);
    this.#addTwo(second % 60, 0x2e);
    this.add('000Z');
  }

  /** What was written. Nothing may be added any more. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #addTwo(number: number, separator: number): void {
    const tens = Math.floor(number / 10);
    const bytes = this.#bytes;
    bytes[this.#at++] = 0x30 + tens;
    bytes[this.#at++] = 0x30 + number - tens * 10;
    bytes[this.#at++] = separator;
  }

  #reserve(count: number): void {
    // A little more, so that what is added by single bytes needs no look of its own.
    if (this.#at + count + 16 <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe((this.#at + count) * 2 + 64);
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

/** An answer like that of `xmlAnswer`, written as bytes. */
export function xmlBytesAnswer(root: string, expectedBytes: number, write: (out: XmlBytes) => void): Answer {
  const out = new XmlBytes(expectedBytes + 512);
  out.add(xmlHead(root));
  write(out);
  out.add(xmlTail(root));
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: out.finish() };
}
