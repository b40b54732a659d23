/**
 * What a dialect has. Calls and options a dialect lacks throw OBJECT_STORE_REFUSED before anything is sent. A server
 * may lack what its dialect has: then it says so itself, and the error's `serverCode` is NotImplemented.
 */
export interface Supports {
  /** `ifAbsent` on put, complete and copy. OSS ignores it in a bucket with versioning: look there first. */
  ifAbsent: 'always' | 'unversioned';
  /** `ifMatch` on put and complete. */
  putIfMatch: boolean;
  /** `ifAbsent` on `completeUpload`. */
  completeConditions: boolean;
  /** The checksum kind of whole objects that this dialect keeps and answers, also of multipart objects. */
  wholeChecksum: 'crc64nvme' | 'crc64ecma';
  /** `retention` and `legalHold` of objects. */
  objectLock: boolean;
  /** `setBucketLock` counts for the whole bucket and cannot be taken back (OSS WORM). */
  bucketWorm: boolean;
  /** Largest body of one put or part, bytes. */
  maxPutBytes: number;
  /** Smallest part but the last, bytes. */
  minPartBytes: number;
  maxParts: number;
}
