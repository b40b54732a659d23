import { createHash } from 'node:crypto';
import { hashOf } from './random.ts';

/** The bytes of a value follow from its name alone, `NAME/SIZE`; so whoever reads them knows whether they are right. */
export function contentOf(value: string): Uint8Array {
  const sizeBytes = Number(value.slice(value.lastIndexOf('/') + 1));
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = hashOf(value) | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

interface Etags {
  whole: string;
  inParts: string;
}

const etags = new Map<string, string>();
const known = new Map<string, Etags>();

/** The ETag of a value written at once, and of one written in one part. */
export function etagsOf(value: string): Etags {
  const made = known.get(value) ?? computeEtags(value);
  known.set(value, made);
  return made;
}

function computeEtags(value: string): Etags {
  const md5 = createHash('md5').update(contentOf(value)).digest();
  const ofMd5 = createHash('md5').update(md5).digest('hex');
  return { whole: md5.toString('hex'), inParts: `${ofMd5}-1` };
}

/** Remembers the ETags of a value, so that the value can be told from one of them. */
export function noteEtags(value: string): void {
  const { whole, inParts } = etagsOf(value);
  etags.set(whole, value);
  etags.set(inParts, value);
}

export function valueOfEtag(etag: string): string | undefined {
  return etags.get(etag);
}
