const magic = 0xfd2fb528;
const headerBytes = 6;
const blockHeaderBytes = 3;
const rleBlock = 1;
const reservedBlock = 3;

/**
 * The length of the content that a zstd frame promises.
 *
 * @returns bytes; null when `bytes` are not one whole frame and nothing else, when the frame does not tell the length, or
 * when it needs a dictionary. Source: RFC 8878 §3.1.1
 */
export function contentSizeOfFrame(bytes: Uint8Array): number | null {
  if (bytes.length < headerBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== magic) return null;
  const descriptor = view.getUint8(4);
  const sizeBytes = [descriptor & 0x20 ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const usesDictionary = (descriptor & 3) !== 0;
  const isReserved = (descriptor & 8) !== 0;
  if (sizeBytes === 0 || usesDictionary || isReserved) return null;
  const sizeAt = 5 + (descriptor & 0x20 ? 0 : 1);
  const checksumBytes = descriptor & 4 ? 4 : 0;
  if (sizeAt + sizeBytes > bytes.length) return null;
  if (endOfBlocks(view, sizeAt + sizeBytes) + checksumBytes !== bytes.length) return null;
  return readSize(view, sizeAt, sizeBytes);
}

function readSize(view: DataView, at: number, sizeBytes: number): number {
  if (sizeBytes === 1) return view.getUint8(at);
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}

/** Where the last block ends; NaN when one does not end inside. */
function endOfBlocks(view: DataView, start: number): number {
  let at = start;
  while (at + blockHeaderBytes <= view.byteLength) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (header >> 1) & 3;
    if (type === reservedBlock) return Number.NaN;
    at += blockHeaderBytes + (type === rleBlock ? 1 : header >> 3);
    if ((header & 1) !== 0) return at;
  }
  return Number.NaN;
}
