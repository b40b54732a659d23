/** What bytes look like: text, a known packed format, or noise as a cipher makes it. Pure. */

/** Shannon entropy, bits per byte, with the correction of Miller and Madow for what few bytes hide. 0 of none. */
export function entropyOf(bytes: Uint8Array): number {
  if (bytes.length === 0) return 0;
  let [sum, kinds] = [0, 0];
  for (const count of countsOf(bytes)) {
    if (count === 0) continue;
    kinds += 1;
    sum -= (count / bytes.length) * Math.log2(count / bytes.length);
  }
  return Math.min(8, sum + (kinds - 1) / (2 * bytes.length * Math.LN2));
}

/** Pearson's chi-squared against even bytes: about 255 for noise, thousands for anything with a meaning. */
export function unevennessOf(bytes: Uint8Array): number {
  const expected = bytes.length / 256;
  let sum = 0;
  for (const count of countsOf(bytes)) sum += (count - expected) ** 2 / expected;
  return sum;
}

function countsOf(bytes: Uint8Array): Uint32Array {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]! += 1;
  return counts;
}

/** Fewer bytes than that may look like anything. */
export const fewestBytes = 256;
/** Six standard deviations (22.6 each, of 255 degrees of freedom) from what noise has: it is missed once in 10^8. */
const evenness = 255 + 6 * 22.6;
const bitsOfNoise = 7.2;

/** Whether bytes are as even as a cipher's; `null` when there are too few to tell. Packed data is nearly as even. */
export function looksScrambled(bytes: Uint8Array): boolean | null {
  if (bytes.length < fewestBytes) return null;
  return entropyOf(bytes) >= bitsOfNoise && unevennessOf(bytes) <= evenness;
}

/** Beginnings of formats whose content is packed or sealed by nature, and where in the file they stand. */
const packedFormats: [name: string, at: number, bytes: readonly number[]][] = [
  ['gzip', 0, [0x1f, 0x8b]],
  ['zip', 0, [0x50, 0x4b, 0x03, 0x04]],
  ['zstd', 0, [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', 0, [0x42, 0x5a, 0x68]],
  ['7z', 0, [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]],
  ['rar', 0, [0x52, 0x61, 0x72, 0x21, 0x1a, 0x07]],
  ['lz4', 0, [0x04, 0x22, 0x4d, 0x18]],
  ['compress', 0, [0x1f, 0x9d]],
  ['cab', 0, [0x4d, 0x53, 0x43, 0x46]],
  ['jpeg', 0, [0xff, 0xd8, 0xff]],
  ['png', 0, [0x89, 0x50, 0x4e, 0x47]],
  ['gif', 0, [0x47, 0x49, 0x46, 0x38]],
  ['webp or another RIFF', 0, [0x52, 0x49, 0x46, 0x46]],
  ['jpeg xl', 0, [0xff, 0x0a]],
  ['mp4, mov, heic or avif', 4, [0x66, 0x74, 0x79, 0x70]],
  ['matroska or webm', 0, [0x1a, 0x45, 0xdf, 0xa3]],
  ['ogg', 0, [0x4f, 0x67, 0x67, 0x53]],
  ['flac', 0, [0x66, 0x4c, 0x61, 0x43]],
  ['mp3', 0, [0x49, 0x44, 0x33]],
  ['pdf', 0, [0x25, 0x50, 0x44, 0x46]],
  ['woff', 0, [0x77, 0x4f, 0x46]],
  ['parquet', 0, [0x50, 0x41, 0x52, 0x31]],
  ['pgp message', 0, [0x2d, 0x2d, 0x2d, 0x2d, 0x2d, 0x42, 0x45, 0x47, 0x49, 0x4e]],
  ['age', 0, [0x61, 0x67, 0x65, 0x2d, 0x65, 0x6e, 0x63]],
  ['luks', 0, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]],
  ['keepass', 0, [0x03, 0xd9, 0xa2, 0x9a]],
];

/** The format that a file says it has, when it is one whose content is even by nature; else `null`. */
export function packedFormat(beginning: Uint8Array): string | null {
  const found = packedFormats.find(([, at, bytes]) => bytes.every((byte, i) => beginning[at + i] === byte));
  return found?.[0] ?? null;
}

/**
 * Whether a file looks encrypted by somebody: its beginning does (there is ransomware that takes no more), or most of
 * the windows do. `null` when there is too little of it to tell.
 * @param windows pieces of it, the beginning first
 */
export function isScrambledFile(windows: readonly Uint8Array[]): boolean | null {
  const [beginning] = windows;
  if (beginning === undefined || beginning.length < fewestBytes) return null;
  if (packedFormat(beginning) !== null) return false;
  const verdicts = windows.map(looksScrambled).filter((verdict) => verdict !== null);
  return verdicts[0] === true || verdicts.filter(Boolean).length * 2 > verdicts.length;
}
