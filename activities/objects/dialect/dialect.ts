import { type ObjectPlace } from '../place.ts';
import { type Supports } from '../supports.ts';
import { type RequestSigner } from '../signing/requests.ts';
import { type ChecksumKind, type Checksums, type CompositeChecksum, type WriteConditions } from '../types.ts';

export type Headers = Readonly<Record<string, string>>;

/** What the two dialects say differently. All else is one code: OSS took most of its words from S3. */
export interface Dialect {
  name: 's3' | 'oss';
  /** Of its own headers. */
  prefix: 'x-amz-' | 'x-oss-';
  supports: Supports;
  /** What an object has whose class is not named. */
  storageClass: string;
  /** Classes whose objects must be restored before they are read. */
  archiveClasses: readonly string[];
  /** A query parameter without a value stands alone. */
  bareQuery: boolean;
  /** The path of the bucket itself, where it is named in the path. */
  bucketPath: (bucket: string) => string;
  /** OSS signs the bucket's name in the path wherever it is sent. */
  signsBucketInPath: boolean;
  /** Of a body that is bytes, where its writer knows no checksum. */
  ownChecksum: ChecksumKind;
  xmlNamespace: string;
  signer: (place: ObjectPlace, host: string) => RequestSigner;
  /** @throws ObjectStoreError OBJECT_STORE_REFUSED for what it does not have. */
  conditionHeaders: (conditions: WriteConditions) => Record<string, string>;
  /** Those of a body that is about to be sent: one checksum, that the server compares. */
  checksumHeaders: (known: Checksums) => Record<string, string>;
  /** Asks for checksums with the object. */
  askForChecksums: Record<string, string>;
  /** What an answer says of the bytes. `partial`: only a range was answered. */
  checksumsOf: (headers: Headers, partial: boolean) => { checksums: Checksums; composite?: CompositeChecksum };
}
