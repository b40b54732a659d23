/** Errors on the wire: a refusal keeps its code and details, a dead drive stays one, anything else is internal. */
import { StorageError, type StorageErrorCode } from '../errors.ts';
import { DriveUnavailable } from '../store/drive-api.ts';
import { type WireReader, type WireWriter } from './wire.ts';

const codes: Record<StorageErrorCode, true> = {
  NoSuchBucket: true,
  NoSuchKey: true,
  NoSuchVersion: true,
  NoSuchUpload: true,
  MethodNotAllowedOnDeleteMarker: true,
  BucketAlreadyOwnedByYou: true,
  BucketAlreadyExists: true,
  BucketNotEmpty: true,
  PreconditionFailed: true,
  NotModified: true,
  ConditionalRequestConflict: true,
  InvalidRange: true,
  InvalidPart: true,
  InvalidPartOrder: true,
  EntityTooSmall: true,
  EntityTooLarge: true,
  KeyTooLong: true,
  TooManyVersions: true,
  BadDigest: true,
  IncompleteBody: true,
  InvalidArgument: true,
  WriteQuorumLost: true,
  ReadQuorumLost: true,
  Undecided: true,
  OutOfSpace: true,
  Fenced: true,
  Busy: true,
  Corrupt: true,
  Internal: true,
};

const unavailable = 'unavailable';

function isCode(code: string): code is StorageErrorCode {
  return Object.hasOwn(codes, code);
}

export function writeError(writer: WireWriter, error: unknown): void {
  if (error instanceof StorageError) {
    writer.text(error.code);
    writer.text(error.message);
    writer.list(Object.entries(error.details), (to, [name, value]) => {
      to.text(name);
      to.text(value);
    });
    return;
  }
  writer.text(error instanceof DriveUnavailable ? unavailable : 'Internal');
  writer.text(error instanceof Error ? error.message : String(error));
  writer.list([], () => {});
}

/** The error a peer answered with, to be thrown here. A code of a newer peer becomes `Internal`. */
export function readError(reader: WireReader): StorageError | DriveUnavailable {
  const code = reader.text();
  const message = reader.text();
  const details = Object.fromEntries(reader.list((from) => [from.text(), from.text()] as const));
  if (code === unavailable) return new DriveUnavailable(message);
  return new StorageError(isCode(code) ? code : 'Internal', message, { details });
}
