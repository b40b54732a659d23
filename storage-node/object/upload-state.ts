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
 * `open`: parts come. `committing`: the parts that make the object are fixed, and whoever finds it so may make the
 * object. `refusing`: nobody may any more; once the object's key was written over, so that no writer under way can
 * either, it is open again. `completed`: the object was made, and the registers of the parts are gone. `ending`: given
 * up; when the parts are gone this register goes as well.
 */
export type UploadState = { info: Omit<UploadInfo, 'key' | 'uploadId'> } & (
  | { kind: 'open' }
  | { kind: 'committing'; plan: CommitPlan }
  | { kind: 'refusing'; plan: CommitPlan }
  | { kind: 'completed'; plan: CommitPlan; result: CompletedUpload; atMs: number }
  | { kind: 'ending' }
);

export interface CommitPlan {
  /** Hex; tells one try to complete the upload from another. */
  attempt: string;
  /** The parts in order, by number, and the data each had when the plan was made. */
  parts: { number: number; dataId: Uint8Array }[];
  etag: string;
  checksum: Checksum | undefined;
  conditions: Conditions;
}

const packr = new Packr({ useRecords: false });

export function encodeUpload(state: UploadState): Uint8Array {
  return packr.pack(state);
}

export function decodeUpload(bytes: Uint8Array): UploadState {
  return packr.unpack(bytes) as UploadState;
}
