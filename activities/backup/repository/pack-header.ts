import { hexOf, type BlobTools, type PackEntry } from './blob.ts';
import { damaged, readStored, type RepositoryStore } from './store.ts';
import { sealingOverhead } from './sealing.ts';

/** Type bytes of header entries: data and tree, plain and compressed. */
const typeByte = { data: 0, tree: 1 } as const;
const compressedBit = 2;
const plainEntryBytes = 37;
const compressedEntryBytes = 41;
const lengthBytes = 4;
/** As restic limits it: about 400,000 blobs. */
const maxHeaderBytes = 16 * 2 ** 20;
/** Read at once with the length of the header: enough for the header of most packs. */
const eagerBytes = 8 * 2 ** 10;

/** The header of a pack, not sealed yet. */
export function headerOf(entries: readonly PackEntry[]): Uint8Array {
  const sizes = entries.map((entry) => (entry.uncompressedLength === 0 ? plainEntryBytes : compressedEntryBytes));
  const header = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = new DataView(header.buffer);
  let at = 0;
  for (const [index, entry] of entries.entries()) {
    const plain = entry.uncompressedLength === 0;
    header[at] = typeByte[entry.type] | (plain ? 0 : compressedBit);
    view.setUint32(at + 1, entry.length, true);
    if (!plain) view.setUint32(at + 5, entry.uncompressedLength, true);
    header.set(entry.id, at + (plain ? 5 : 9));
    at += sizes[index] as number;
  }
  return header;
}

/**
 * The blobs of a pack as its own header lists them, from ranged reads at its end.
 * @throws MusterError REPOSITORY_DAMAGED naming the pack when it is missing, cut short, or its header is wrong
 */
export async function readPackHeader(
  store: RepositoryStore,
  tools: BlobTools,
  pack: { readonly name: string; readonly sizeBytes: number },
): Promise<PackEntry[]> {
  const { name, sizeBytes } = pack;
  const readTail = (length: number): Promise<Uint8Array> =>
    readStored(store, 'data', name, { offset: sizeBytes - length, length });
  const eager = await readTail(Math.min(eagerBytes, sizeBytes));
  const wanted = tailLength(eager, sizeBytes);
  if (typeof wanted === 'string') throw damaged(store, 'data', name, wanted);
  const tail = wanted <= eager.length ? eager.subarray(-wanted) : await readTail(wanted);
  const entries = entriesOf(tools, tail, sizeBytes);
  if (typeof entries === 'string') throw damaged(store, 'data', name, entries);
  return entries;
}

/** The same of a whole pack in memory; what is wrong continues the sentence after its path. */
export function parsePackHeader(tools: BlobTools, pack: Uint8Array): PackEntry[] | string {
  const wanted = tailLength(pack, pack.length);
  return typeof wanted === 'string' ? wanted : entriesOf(tools, pack.subarray(-wanted), pack.length);
}

/** How many bytes the sealed header and its length take at the end of a pack that ends with `end`. */
function tailLength(end: Uint8Array, sizeBytes: number): number | string {
  if (sizeBytes < sealingOverhead + plainEntryBytes + lengthBytes) return 'is too short to be a pack';
  const at = end.length - lengthBytes;
  const sealedBytes = new DataView(end.buffer, end.byteOffset, end.length).getUint32(at, true);
  if (sealedBytes > Math.min(maxHeaderBytes, sizeBytes - lengthBytes) || sealedBytes <= sealingOverhead) {
    return `ends with ${sealedBytes} as the length of its header, which cannot be: it is cut short or overwritten`;
  }
  return sealedBytes + lengthBytes;
}

function entriesOf({ sealer }: BlobTools, tail: Uint8Array, sizeBytes: number): PackEntry[] | string {
  const header = sealer.open(tail.subarray(0, -lengthBytes));
  if (header === null) return 'has a header with a wrong MAC';
  const entries = parseHeader(header);
  if (typeof entries === 'string') return entries;
  const expected = entries.reduce((sum, entry) => sum + entry.length, 0) + tail.length;
  return expected === sizeBytes ? entries : `is ${sizeBytes} bytes long, its header says ${expected}`;
}

/** The entries in an opened header, or what is wrong with it. */
export function parseHeader(header: Uint8Array): PackEntry[] | string {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const entries: PackEntry[] = [];
  let offset = 0;
  for (let at = 0; at < header.length;) {
    const type = header[at] as number;
    if (type > 3) return `has a header with an entry of unknown type ${type}`;
    const compressed = (type & compressedBit) !== 0;
    const bytes = compressed ? compressedEntryBytes : plainEntryBytes;
    if (at + bytes > header.length) return 'has a header that ends inside an entry';
    const length = view.getUint32(at + 1, true);
    const id = Uint8Array.from(header.subarray(at + bytes - 32, at + bytes));
    if (length < sealingOverhead) return `has a header that gives blob ${hexOf(id)} ${length} bytes`;
    entries.push({
      type: (type & 1) === typeByte.tree ? 'tree' : 'data',
      id,
      offset,
      length,
      uncompressedLength: compressed ? view.getUint32(at + 5, true) : 0,
    });
    offset += length;
    at += bytes;
  }
  return entries.length === 0 ? 'has a header without entries' : entries;
}
