import { type Checksum } from '../../object/model.ts';
import { type OperationContext, type Payload } from '../operation.ts';
import { checkPartChecksum } from './checksums.ts';
import { runningChecksum } from './copy-data.ts';
import { parsePartNumber } from './ranges.ts';
import { checkBodySize, receive } from './receive.ts';

/** A part as it was stored. */
export interface StoredPart {
  etag: string;
  checksum: Checksum | undefined;
}

/**
 * Stores one part of the upload the request names. Where the upload sums up its parts' checksums and the client sent
 * none, it is computed here.
 */
export async function storePart({ request, layer }: OperationContext, payload: Payload): Promise<StoredPart> {
  const { bucket, key, query } = request;
  const number = parsePartNumber(query.get('partNumber')!);
  const uploadId = query.get('uploadId')!;
  checkBodySize(payload.expectedBytes);
  const { checksumAlgorithm } = await layer.upload(bucket, key, uploadId);
  const upload = await layer.putPart({ bucket, key, uploadId, number, expectedBytes: payload.expectedBytes });
  const own =
    checksumAlgorithm === undefined || isClaimed(request.headers) ? undefined : runningChecksum(checksumAlgorithm);
  let checksum: Checksum | undefined;
  const { etag } = await receive({ payload, upload, ...(own && { tap: own.update }) }, (proof) => {
    checksum = own === undefined ? proof.checksum : own.finish();
    checkPartChecksum(checksumAlgorithm, checksum);
    return upload.commit({ conditions: {}, checksum });
  });
  return { etag, checksum };
}

/** Whether a checksum of the body comes with it, in a header or after it. */
function isClaimed(headers: Readonly<Record<string, string>>): boolean {
  for (const name in headers) {
    if (name === 'x-amz-trailer' || /^x-amz-checksum-(crc|sha)/.test(name)) return true;
  }
  return false;
}
