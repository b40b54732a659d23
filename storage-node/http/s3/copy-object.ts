import {
  type Checksum,
  type ObjectInfo,
  type OpenObject,
  type PutInput,
  type PutResult,
  type Tags,
} from '../../object/model.ts';
import { tagsOf } from '../../object/tags.ts';
import { type Operation, type OperationContext, type ParsedRequest } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { checksumXml, parseAlgorithm } from './checksums.ts';
import { writeConditions } from './conditions.ts';
import { payloadFrom, runningChecksum, wholeOf } from './copy-data.ts';
import { type CopySource, maxCopyBytes, openSource, parseCopySource } from './copy-source.ts';
import { isoTime } from './dates.ts';
import { metadataOf, refuseForeignHeaders, storageClassOf } from './metadata.ts';
import { receive } from './receive.ts';
import { invalidArgument, invalidRequest, refuseHalfPart } from './refusals.ts';
import { copiesTags, taggingOf } from './tagging.ts';
import { xmlAnswer } from './xml.ts';

export const copyObject: Operation = {
  name: 'CopyObject',
  dialect: 's3',
  method: 'PUT',
  resource: 'object',
  query: [],
  header: 'x-amz-copy-source',
  actions: ['s3:PutObject', 's3:GetObject'],
  parameters: [],
  async handle(context) {
    const { request } = context;
    refuseHalfPart(request.query);
    const source = parseCopySource(request.headers['x-amz-copy-source']!);
    const replace = replacesMetadata(request.headers);
    const tags = copiesTags(request.headers) ? 'of the source' : (taggingOf(request.headers) ?? []);
    refuseForeignHeaders(request.headers);
    refuseCopyOntoItself(request, source, replace);
    const object = await openSource(context, source);
    try {
      return await copy(context, { object, replace, tags });
    } finally {
      object.close();
    }
  },
};

/** What shall be kept with the copy. */
interface Wanted {
  /** The metadata of the request instead of the source's. */
  replace: boolean;
  tags: Tags | 'of the source';
}

async function copy(
  context: OperationContext,
  { object, ...wanted }: { object: OpenObject } & Wanted,
): Promise<ReturnType<typeof xmlAnswer>> {
  const { request, layer } = context;
  const { info } = object;
  if (info.sizeBytes > maxCopyBytes) {
    throw invalidRequest(
      `The specified copy source is larger than the maximum allowable size for a copy source: ${maxCopyBytes}`,
    );
  }
  const conditions = writeConditions(request.headers);
  const checksum = copiedChecksum(request, info);
  const payload = payloadFrom(object, wholeOf(info.sizeBytes));
  const upload = await layer.put(inputOf(request, info, wanted));
  const result = await receive({ payload, upload, tap: checksum.update }, () =>
    upload.commit({ conditions, checksum: checksum.finish() }),
  );
  return xmlAnswer('CopyObjectResult', documentOf(result, checksum.finish()), copyHeaders(info, result));
}

function inputOf(request: ParsedRequest, info: ObjectInfo, { replace, tags }: Wanted): PutInput {
  const storageClass = storageClassOf(request.headers);
  return {
    bucket: request.bucket,
    key: request.key,
    tags: tags === 'of the source' ? tagsOf(info) : tags,
    metadata: replace ? metadataOf(request.headers) : info.metadata,
    expectedBytes: info.sizeBytes,
    ...(storageClass === undefined ? {} : { storageClass }),
  };
}

/** The source's own where it covers the whole object and no other was asked for; else one computed on the way. */
function copiedChecksum(
  request: ParsedRequest,
  info: ObjectInfo,
): { update: (chunk: Uint8Array) => void; finish: () => Checksum | undefined } {
  const asked = request.headers['x-amz-checksum-algorithm'];
  const algorithm = asked === undefined ? info.checksum?.algorithm : parseAlgorithm(asked);
  const known = info.checksum;
  if (algorithm === undefined || (known?.algorithm === algorithm && known.type === 'FULL_OBJECT')) {
    return { update: () => {}, finish: () => known };
  }
  const running = runningChecksum(algorithm);
  let finished: Checksum | undefined;
  return { update: running.update, finish: () => (finished ??= running.finish()) };
}

function documentOf(result: PutResult, checksum: Checksum | undefined): string {
  const modified = `<LastModified>${isoTime(result.lastModifiedMs)}</LastModified>`;
  return `${modified}<ETag>&quot;${result.etag}&quot;</ETag>${checksumXml(checksum, true)}`;
}

function copyHeaders(source: ObjectInfo, result: PutResult): Record<string, string> {
  const headers: Record<string, string> = {};
  if (source.shownVersionId !== undefined) headers['x-amz-copy-source-version-id'] = source.shownVersionId;
  if (result.versionId !== undefined) headers['x-amz-version-id'] = result.versionId;
  return headers;
}

function replacesMetadata(headers: Readonly<Record<string, string>>): boolean {
  const directive = headers['x-amz-metadata-directive'];
  if (directive === undefined || directive === 'COPY') return false;
  if (directive === 'REPLACE') return true;
  throw invalidArgument('Unknown metadata directive.', 'x-amz-metadata-directive', directive);
}

function refuseCopyOntoItself(request: ParsedRequest, source: CopySource, replace: boolean): void {
  const { headers } = request;
  const same = source.bucket === request.bucket && source.key === request.key && source.versionId === undefined;
  const changes =
    replace || headers['x-amz-storage-class'] !== undefined || headers['x-amz-checksum-algorithm'] !== undefined;
  if (!same || changes) return;
  throw new S3Error(
    'InvalidRequest',
    400,
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  );
}
