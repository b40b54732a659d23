import { type Checksums } from '../types.ts';

/** Without quotes and the sign of weakness. */
export function bareEtag(text: string | undefined): string {
  if (text === undefined) return '';
  const plain = text.startsWith('W/') ? text.slice(2) : text;
  // As nearly every one comes.
  const quoted = plain.length > 1 && plain.startsWith('"') && plain.indexOf('"', 1) === plain.length - 1;
  return quoted ? plain.slice(1, -1) : plain.replaceAll('"', '');
}

/** How many parts an ETag speaks of; undefined where it speaks of none. */
export function partsOfEtag(etag: string): number | undefined {
  const match = /^[0-9a-f]{32}-(\d{1,5})$/i.exec(etag);
  return match === null ? undefined : Number(match[1]);
}

/** An ETag as the MD5 it is, unless the object is encrypted with keys of its own or came in parts. */
export function md5OfEtag(etag: string, isMd5: boolean): Checksums {
  return isMd5 && /^[0-9a-f]{32}$/i.test(etag) ? { md5: etag.toLowerCase() } : {};
}
