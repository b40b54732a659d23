import { isWalMagic, pageBytes, parsePageHeader, shortHeaderBytes } from './wal-page.ts';

/**
 * How many bytes of a segment that is not full are WAL: up to the last byte that is not zero before the first page that
 * belongs elsewhere. (A server uses old segments again: behind what it wrote lie pages of another part of the log.)
 */
export async function usedPrefix(pieces: AsyncIterable<Buffer>): Promise<number> {
  let [used, at] = [0, 0];
  let start: bigint | null = null;
  for await (const page of pagesOf(pieces)) {
    if (page.length < shortHeaderBytes) break;
    const header = parsePageHeader(page);
    start ??= header.address;
    if (!isWalMagic(header.magic) || header.address !== start + BigInt(at)) break;
    used = at + lengthWithoutZeros(page);
    at += page.length;
  }
  return used;
}

/** Zero is what a page is filled with before its records are. */
function lengthWithoutZeros(page: Buffer): number {
  let end = page.length;
  while (end > 0 && page[end - 1] === 0) end--;
  return end;
}

async function* pagesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let kept: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    kept = kept.length === 0 ? piece : Buffer.concat([kept, piece]);
    let at = 0;
    for (; kept.length - at >= pageBytes; at += pageBytes) yield kept.subarray(at, at + pageBytes);
    kept = kept.subarray(at);
  }
  if (kept.length > 0) yield kept;
}
