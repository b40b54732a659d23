import { Packr } from 'msgpackr';
import { type Change } from './model.ts';

/** What the change log keeps of a write beside its position and key, in a few bytes. */
export type ChangeFacts = Omit<Change, 'position' | 'key'>;

const packr = new Packr({ useRecords: false });
/** A change names its own by its place here. New ones come last: nodes of an older version must not take them for others. */
const kinds: readonly Change['kind'][] = ['put', 'delete', 'delete-marker', 'delete-version', 'tags', 'version-tags'];

export function encodeChange(change: ChangeFacts): Uint8Array {
  const { kind, versionId, sizeBytes, etag, atMs } = change;
  const plain = /^[0-9a-f]{32}$/.test(etag) ? Buffer.from(etag, 'hex') : etag;
  return packr.pack([kinds.indexOf(kind), atMs, sizeBytes, plain, versionId === 'null' ? 0 : versionId]);
}

export function decodeChange(note: Uint8Array): ChangeFacts {
  const [kind, atMs, sizeBytes, etag, versionId] = packr.unpack(note) as [
    number,
    number,
    number,
    string | Uint8Array,
    string | 0,
  ];
  return {
    kind: kinds[kind]!,
    atMs,
    sizeBytes,
    etag: typeof etag === 'string' ? etag : Buffer.from(etag).toString('hex'),
    versionId: versionId === 0 ? 'null' : versionId,
  };
}
