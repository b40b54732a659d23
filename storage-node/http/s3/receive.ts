import { type Upload } from '../../object/model.ts';
import { StorageError } from '../../errors.ts';
import { type BodySink, type Payload, type PayloadProof } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { tooLarge } from './refusals.ts';

/** S3's limit for one PUT and for one part. */
export const maxBodyBytes = 5 * 1024 ** 3;

/** Refusals after which it is certain that nothing refers to the data. After any other a drive may hold on to it. */
const certain = new Set(['PreconditionFailed', 'NoSuchKey', 'NoSuchBucket', 'TooManyVersions']);

/**
 * Takes a request's body into `upload` and makes it visible by `commit`, once everything about it was proven right.
 * What goes wrong before aborts the upload.
 * @throws S3Error BadDigest, EntityTooLarge; what payload and upload throw.
 */
export async function receive<Result>(
  input: { payload: Payload; upload: Upload<Result>; tap?: (chunk: Uint8Array) => void },
  commit: (proof: PayloadProof & { sizeBytes: number }) => Promise<Result>,
): Promise<Result> {
  const { payload, upload } = input;
  let committing = false;
  try {
    const proof = await payload.pipe(sinkOf(upload, input.tap));
    const { md5, sizeBytes } = await upload.end();
    checkMd5(proof.claimedMd5, md5);
    committing = true;
    return await commit({ ...proof, sizeBytes });
  } catch (error) {
    if (!committing || (error instanceof StorageError && certain.has(error.code))) upload.abort();
    throw error;
  }
}

/** @throws S3Error EntityTooLarge before a byte is read, where the client says how many there are. */
export function checkBodySize(bytes: number | undefined): void {
  if (bytes !== undefined && bytes > maxBodyBytes) throw tooLarge(bytes, maxBodyBytes);
}

/** An upload as something to write to; `tap` sees every chunk first, and keeps none. */
export function sinkOf(upload: Upload<unknown>, tap?: (chunk: Uint8Array) => void): BodySink {
  let takenBytes = 0;
  let drains = 0;
  let drainsAtWrite = 0;
  let wake: (() => void) | undefined;
  upload.onDrain = () => {
    drains += 1;
    wake?.();
    wake = undefined;
  };
  return {
    keepsNothing: true,
    write(chunk) {
      takenBytes += chunk.length;
      checkBodySize(takenBytes);
      tap?.(chunk);
      drainsAtWrite = drains;
      return upload.write(chunk);
    },
    drained() {
      // The upload may have drained between the answer of `write` and this call.
      if (drains !== drainsAtWrite) return Promise.resolve();
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
  };
}

function checkMd5(claimed: string | undefined, md5: Uint8Array): void {
  if (claimed === undefined) return;
  const actual = Buffer.from(md5).toString('hex');
  if (actual === claimed) return;
  const fields = { ExpectedDigest: claimed, CalculatedDigest: actual };
  throw new S3Error('BadDigest', 400, 'The Content-MD5 you specified did not match what we received.', { fields });
}
