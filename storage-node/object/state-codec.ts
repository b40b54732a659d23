import { Packr, Unpackr } from 'msgpackr';
import { type DataId, type IndexKey } from '../store/drive-api.ts';
import { namespace, namespaceOf } from './keys.ts';
import {
  type Checksum,
  type ChecksumAlgorithm,
  type KeyState,
  type ObjectMetadata,
  type Part,
  type StoredHeader,
  type Version,
} from './model.ts';
import { nullVersionId } from './versions.ts';

/**
 * The versions of a key as bytes. Positional, newest version first, whatever has its usual value left out: the state of
 * a plain small object takes about 80 bytes, and an index of a million of them must stay small. Fields are only ever
 * added at the end of a version; a reader ignores those it does not know.
 */
const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

/** A checksum names its own by its place here. */
export const algorithms: readonly ChecksumAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'];
const usualType = 'application/octet-stream';
export const usualClass = 'STANDARD';
const bits = { deleteMarker: 1, multipart: 2, usualType: 4 } as const;

type PackedChecksum = [number, Uint8Array | string] | 0;
/** Of an object that is one part: its MD5 is the ETag. */
type PackedWhole = [Uint8Array, number, 0 | 1];
type PackedPart = [number, number, Uint8Array, Uint8Array, 0 | 1, PackedChecksum];
type PackedVersion = [
  flags: number,
  lastModifiedMs: number,
  etag: Uint8Array | string,
  whole: PackedWhole | 0,
  versionId: string | 0,
  checksum: PackedChecksum,
  headers: Partial<Record<StoredHeader, string>> | 0,
  user: Record<string, string> | 0,
  parts: PackedPart[] | 0,
  storageClass: string | 0,
  extra: Record<string, unknown> | 0,
];

export function encodeState(state: KeyState): Uint8Array {
  return packr.pack(state.versions.map(packVersion));
}

export function decodeState(bytes: Uint8Array): KeyState {
  return { versions: (unpackr.unpack(bytes) as PackedVersion[]).map(unpackVersion) };
}

/** Data the value of a register refers to, by the register's namespace. */
export function dataOf(key: IndexKey, value: Uint8Array): readonly Pick<Part, 'dataId' | 'sizeBytes' | 'small'>[] {
  if (value.length === 0) return [];
  switch (namespaceOf(key)) {
    case namespace.object:
      return (unpackr.unpack(value) as PackedVersion[]).flatMap((version) => unpackParts(version));
    case namespace.part: {
      const { part, older } = decodePartState(value);
      return [part, ...older].filter(({ sizeBytes }) => sizeBytes > 0);
    }
    default:
      return [];
  }
}

export function dataIdsOf(key: IndexKey, value: Uint8Array): DataId[] {
  return dataOf(key, value).map(({ dataId }) => dataId);
}

/**
 * Of an object's data, what came by parts: the registers of the parts own it until the upload is known to be completed.
 */
export function lentDataOf(key: IndexKey, value: Uint8Array): DataId[] {
  if (value.length === 0 || namespaceOf(key) !== namespace.object) return [];
  return decodeState(value)
    .versions.filter(({ extra }) => extra['upload'] !== undefined)
    .flatMap(({ parts }) => parts.map(({ dataId }) => dataId));
}

/** The small data that a look at the register brings along: that of the newest version, when it is one small part. */
export function headOf(key: IndexKey, value: Uint8Array): DataId | undefined {
  if (namespaceOf(key) !== namespace.object || value.length === 0) return undefined;
  return headOfVersions(decodeState(value).versions);
}

export function headOfVersions(versions: readonly Version[]): DataId | undefined {
  const part = versions[0]?.parts.length === 1 ? versions[0].parts[0] : undefined;
  return part?.small === true ? part.dataId : undefined;
}

/** One uploaded part, as its register keeps it. */
export interface PartState {
  part: Part;
  lastModifiedMs: number;
  /** What was sent under this number before. It stays until the upload ends: a completion may have chosen it. */
  older: Part[];
}

export function encodePartState({ part, lastModifiedMs, older }: PartState): Uint8Array {
  const packed = [lastModifiedMs, packPart(part)];
  return packr.pack(older.length === 0 ? packed : [...packed, older.map(packPart)]);
}

export function decodePartState(bytes: Uint8Array): PartState {
  const [lastModifiedMs, part, older] = unpackr.unpack(bytes) as [number, PackedPart, PackedPart[] | undefined];
  return { lastModifiedMs, part: unpackPart(part), older: (older ?? []).map(unpackPart) };
}

function packVersion(version: Version): unknown[] {
  const { headers, user } = version.metadata;
  const { 'content-type': type, ...otherHeaders } = headers;
  const isUsual = type === usualType;
  const flags =
    (version.deleteMarker ? bits.deleteMarker : 0) |
    (version.multipart ? bits.multipart : 0) |
    (isUsual ? bits.usualType : 0);
  const whole = wholeOf(version);
  const packed: PackedVersion = [
    flags,
    version.lastModifiedMs,
    packHex(version.etag),
    whole,
    version.versionId === nullVersionId ? 0 : version.versionId,
    packChecksum(version.checksum),
    orZero(isUsual ? otherHeaders : headers),
    orZero(user),
    whole === 0 && version.parts.length > 0 ? version.parts.map(packPart) : 0,
    version.storageClass === usualClass ? 0 : version.storageClass,
    orZero(version.extra),
  ];
  let used: number = packed.length;
  while (used > 3 && packed[used - 1] === 0) used -= 1;
  return packed.slice(0, used);
}

function unpackVersion(packed: PackedVersion): Version {
  const [flags, lastModifiedMs, etag, , versionId, checksum, headers, user, , storageClass, extra] = packed;
  const parts = unpackParts(packed);
  const metadata: ObjectMetadata = {
    headers: headers === 0 || headers === undefined ? {} : { ...headers },
    user: user === 0 || user === undefined ? {} : { ...user },
  };
  if ((flags & bits.usualType) !== 0) metadata.headers['content-type'] = usualType;
  return {
    versionId: versionId || nullVersionId,
    deleteMarker: (flags & bits.deleteMarker) !== 0,
    sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    etag: unpackHex(etag),
    lastModifiedMs,
    metadata,
    checksum: unpackChecksum(checksum),
    parts,
    multipart: (flags & bits.multipart) !== 0,
    storageClass: storageClass || usualClass,
    extra: extra === 0 || extra === undefined ? {} : { ...extra },
  };
}

function wholeOf(version: Version): PackedWhole | 0 {
  const [part] = version.parts;
  if (part === undefined || version.parts.length > 1 || version.multipart) return 0;
  if (part.number !== 1 || part.md5 !== version.etag || part.checksum !== undefined) return 0;
  return [part.dataId, part.sizeBytes, part.small ? 1 : 0];
}

function unpackParts(packed: PackedVersion): Part[] {
  const [, , etag, whole, , , , , parts] = packed;
  if (parts) return parts.map(unpackPart);
  if (!whole) return [];
  const [dataId, sizeBytes, small] = whole;
  return [{ number: 1, sizeBytes, md5: unpackHex(etag), checksum: undefined, dataId, small: small === 1 }];
}

function packPart(part: Part): PackedPart {
  const md5 = Buffer.from(part.md5, 'hex');
  return [part.number, part.sizeBytes, md5, part.dataId, part.small ? 1 : 0, packChecksum(part.checksum)];
}

function unpackPart([number, sizeBytes, md5, dataId, small, checksum]: PackedPart): Part {
  return {
    number,
    sizeBytes,
    md5: Buffer.from(md5).toString('hex'),
    checksum: unpackChecksum(checksum),
    dataId,
    small: small === 1,
  };
}

/** ETags are MD5s in hex most of the time, and then half as long as bytes. */
function packHex(text: string): Uint8Array | string {
  return /^[0-9a-f]{32}$/.test(text) ? Buffer.from(text, 'hex') : text;
}

function unpackHex(packed: Uint8Array | string): string {
  return typeof packed === 'string' ? packed : Buffer.from(packed).toString('hex');
}

function packChecksum(checksum: Checksum | undefined): PackedChecksum {
  if (checksum === undefined) return 0;
  const algorithm = algorithms.indexOf(checksum.algorithm);
  return checksum.type === 'COMPOSITE'
    ? [algorithm, checksum.value]
    : [algorithm, Buffer.from(checksum.value, 'base64')];
}

function unpackChecksum(packed: PackedChecksum | undefined): Checksum | undefined {
  if (!packed) return undefined;
  const [index, value] = packed;
  const algorithm = algorithms[index]!;
  return typeof value === 'string'
    ? { algorithm, value, type: 'COMPOSITE' }
    : { algorithm, value: Buffer.from(value).toString('base64'), type: 'FULL_OBJECT' };
}

function orZero<T extends object>(value: T): T | 0 {
  return Object.keys(value).length === 0 ? 0 : value;
}
