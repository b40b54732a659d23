import { type Conditions, type OpenObject } from '../../object/model.ts';
import { StorageError } from '../../errors.ts';
import { type OperationContext } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { readConditions } from './conditions.ts';
import { invalidArgument, invalidRequest } from './refusals.ts';

export interface CopySource {
  bucket: string;
  key: string;
  versionId: string | undefined;
}

/**
 * Reads `x-amz-copy-source`: `bucket/key` or `/bucket/key`, percent-encoded, with `?versionId=` at the end. A plus
 * sign means itself.
 * @throws S3Error InvalidArgument.
 */
export function parseCopySource(header: string): CopySource {
  const versionAt = header.indexOf('?versionId=');
  const path = decodePath(versionAt === -1 ? header : header.slice(0, versionAt), header);
  const versionId = versionAt === -1 ? undefined : decodePath(header.slice(versionAt + '?versionId='.length), header);
  const from = path.startsWith('/') ? 1 : 0;
  const slash = path.indexOf('/', from);
  if (slash <= from || slash === path.length - 1) {
    const message = 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey';
    throw invalidArgument(message, 'x-amz-copy-source', header);
  }
  if (versionId === '') throw invalidArgument('Version id cannot be the empty string', 'versionId', '');
  return { bucket: path.slice(from, slash), key: path.slice(slash + 1), versionId };
}

/** Node gives header bytes as Latin-1; clients send UTF-8, encoded or not. */
function decodePath(text: string, header: string): string {
  const bytes = Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  );
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new S3Error('InvalidArgument', 400, 'Invalid copy source encoding', {
      fields: { ArgumentName: 'x-amz-copy-source', ArgumentValue: header },
      cause,
    });
  }
}

/** S3 copies no more than this in one request; a part of a larger source can be named by a range. */
export const maxCopyBytes = 5 * 1024 ** 3;

/**
 * Opens the source of a copy under its own conditions. Must be closed.
 * @throws S3Error PreconditionFailed, also where a GET would answer 304; InvalidRequest for a delete marker by id.
 */
export async function openSource(context: OperationContext, source: CopySource): Promise<OpenObject> {
  const { headers } = context.request;
  await checkSourceOwner(context, source);
  const conditions: Conditions | undefined = readConditions(headers, 'x-amz-copy-source-');
  try {
    return await context.layer.open(source.bucket, source.key, {
      ...(source.versionId === undefined ? {} : { versionId: source.versionId }),
      ...(conditions === undefined ? {} : { conditions }),
    });
  } catch (error) {
    if (error instanceof StorageError && error.code === 'NotModified') {
      const message = 'At least one of the pre-conditions you specified did not hold';
      throw new S3Error('PreconditionFailed', 412, message, { cause: error });
    }
    if (error instanceof StorageError && error.code === 'MethodNotAllowedOnDeleteMarker') {
      throw invalidRequest('The source of a copy request may not specifically refer to a delete marker by version id.');
    }
    throw error;
  }
}

async function checkSourceOwner({ request, layer }: OperationContext, source: CopySource): Promise<void> {
  const expected = request.headers['x-amz-source-expected-bucket-owner'];
  if (expected === undefined) return;
  const { owner } = await layer.bucket(source.bucket);
  if (owner !== expected) throw new S3Error('AccessDenied', 403, 'Access Denied');
}
