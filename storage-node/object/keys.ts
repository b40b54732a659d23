import { StorageError } from '../errors.ts';
import { bucketIdBytes, type IndexKey } from '../store/drive-api.ts';

/**
 * Keys of registers: bucket id (8 bytes), namespace (1 byte), name. Names are bytes from beginning to end; none of them
 * ever becomes a path.
 */
export const namespace = { bucket: 0x01, object: 0x10, upload: 0x20, part: 0x21 } as const;

/** Longest object key, bytes of UTF-8, as in S3. */
export const maxObjectKeyBytes = 1024;
/** Upload ids are 32 hex digits. */
export const uploadIdLength = 32;

const systemBucket = '0'.repeat(bucketIdBytes * 2);
/** No object key holds it at this place: it parts the key from the upload id. */
const separator = Buffer.from([0]);

/** @throws StorageError KeyTooLong, InvalidArgument for an empty key. */
export function checkObjectKey(key: string): string {
  if (key === '') throw new StorageError('InvalidArgument', 'the key is empty');
  if (Buffer.byteLength(key) > maxObjectKeyBytes) {
    throw new StorageError('KeyTooLong', `the key is longer than ${maxObjectKeyBytes} bytes`);
  }
  return key;
}

export function spaceOf(bucketId: string, space: number): Buffer {
  return Buffer.concat([Buffer.from(bucketId, 'hex'), Buffer.from([space])]);
}

export function objectKey(bucketId: string, key: string): IndexKey {
  return Buffer.concat([spaceOf(bucketId, namespace.object), Buffer.from(key)]);
}

/** The register of a multipart upload; sorts by object key, then upload id. */
export function uploadKey(bucketId: string, key: string, uploadId: string): IndexKey {
  return Buffer.concat([spaceOf(bucketId, namespace.upload), Buffer.from(key), separator, Buffer.from(uploadId)]);
}

/** The register of one part of an upload; sorts by upload id, then number. */
export function partKey(bucketId: string, uploadId: string, number: number): IndexKey {
  const tail = Buffer.alloc(2);
  tail.writeUInt16BE(number);
  return Buffer.concat([partsPrefix(bucketId, uploadId), tail]);
}

export function partsPrefix(bucketId: string, uploadId: string): Buffer {
  return Buffer.concat([spaceOf(bucketId, namespace.part), Buffer.from(uploadId)]);
}

/** The register that says what a bucket is. */
export function bucketRecordKey(name: string): IndexKey {
  return Buffer.concat([spaceOf(systemBucket, namespace.bucket), Buffer.from(name)]);
}

export const bucketRecordsPrefix: Buffer = spaceOf(systemBucket, namespace.bucket);

export function namespaceOf(key: IndexKey): number {
  return key[bucketIdBytes]!;
}

export function bucketIdOf(key: IndexKey): string {
  return Buffer.from(key.buffer, key.byteOffset, bucketIdBytes).toString('hex');
}

/** The name behind bucket id and namespace: the object key of an object's register. */
export function nameOf(key: IndexKey): string {
  const at = bucketIdBytes + 1;
  return Buffer.from(key.buffer, key.byteOffset + at, key.length - at).toString('utf8');
}

export function parseUploadKey(key: IndexKey): { key: string; uploadId: string } {
  const name = nameOf(key);
  return { key: name.slice(0, -uploadIdLength - 1), uploadId: name.slice(-uploadIdLength) };
}

export function partNumberOf(key: IndexKey): number {
  return key[key.length - 2]! * 256 + key[key.length - 1]!;
}

/**
 * A hash of an object's register key that every node computes alike: FNV-1a over the bytes, its bits then mixed so
 * that keys that differ in the last byte only spread as well.
 */
function hashOf(key: IndexKey): number {
  let hash = 0x811c9dc5;
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The set an object lives in. Its uploads and their parts live in the same. */
export function setIndexOf(key: IndexKey, sets: number): number {
  return hashOf(key) % sets;
}
