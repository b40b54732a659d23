import { Packr } from 'msgpackr';
import { type Checksum, type Conditions, type UploadInfo } from './model.ts';

/** What completing an upload comes to; kept for clients that ask again. */
export interface CompletedUpload {
  etag: string;
  versionId: string;
  sizeBytes: number;
  lastModifiedMs: number;
  checksum: Checksum | undefined;
}

/**
 * The register of a multipart upload.
 *
 * `open`: parts come. `committing`: the parts that make the object are fixed, and whoever finds it so may go on; it can
 * not be aborted any more. `completed`: the object was made.
 */
export type UploadState = { info: Omit<UploadInfo, 'key' | 'uploadId'> } & (
  | { kind: 'open' }
  | { kind: 'committing'; plan: CommitPlan }
  | { kind: 'completed'; plan: CommitPlan; result: CompletedUpload; atMs: number }
);

export interface CommitPlan {
  /** The parts in order, by number, and the data each had when the plan was made. */
  parts: { number: number; dataId: Uint8Array }[];
  etag: string;
  checksum: Checksum | undefined;
  /** The version to be, so that making it twice makes it once. */
  versionId: string;
  conditions: Conditions;
}

const packr = new Packr({ useRecords: false });

export function encodeUpload(state: UploadState): Uint8Array {
  return packr.pack(state);
}

export function decodeUpload(bytes: Uint8Array): UploadState {
  return packr.unpack(bytes) as UploadState;
}
