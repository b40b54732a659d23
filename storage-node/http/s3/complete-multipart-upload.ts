import { type CompleteInput, type CompleteResult } from '../../object/model.ts';
import { StorageError } from '../../errors.ts';
import { type Operation, type OperationContext, type ParsedRequest } from '../operation.ts';
import { checksumAlgorithms, checksumXml, claimedChecksum } from './checksums.ts';
import { writeConditions } from './conditions.ts';
import { invalidArgument, invalidRequest, malformedXml } from './refusals.ts';
import { encodeUrl } from './url-encoding.ts';
import { escapeXml, parseXml, textsOf, xmlAnswer, type XmlElement } from './xml.ts';

const maxParts = 10_000;
/** 10,000 parts with an ETag and a checksum take about 2 MiB. */
const maxDocumentBytes = 4 * 1024 * 1024;

export const completeMultipartUpload: Operation = {
  name: 'CompleteMultipartUpload',
  dialect: 's3',
  method: 'POST',
  resource: 'object',
  query: ['uploadId'],
  actions: ['s3:PutObject'],
  parameters: [],
  objectChecksum: true,
  async handle(context) {
    const { request, payload, layer } = context;
    const { bucket, key, headers } = request;
    const uploadId = request.query.get('uploadId')!;
    const conditions = writeConditions(headers);
    const checksum = claimedChecksum(headers);
    const parts = readParts(await payload.bytes(maxDocumentBytes));
    await checkObjectSize(context, { uploadId, parts }).catch(unlessCompleted);
    const result = await layer.completeUpload({ bucket, key, uploadId, parts, conditions, checksum });
    const answered: Record<string, string> = {};
    if (result.versionId !== undefined) answered['x-amz-version-id'] = result.versionId;
    return xmlAnswer('CompleteMultipartUploadResult', documentOf(context, result), answered);
  },
};

function documentOf({ request, raw }: OperationContext, result: CompleteResult): string {
  const { bucket, key } = request;
  const names = `<Bucket>${bucket}</Bucket><Key>${escapeXml(key)}</Key>`;
  const location = `<Location>${escapeXml(locationOf(request, 'encrypted' in raw.request.socket))}</Location>`;
  return `${location}${names}<ETag>&quot;${result.etag}&quot;</ETag>${checksumXml(result.checksum, true)}`;
}

function locationOf({ headers, bucket, key }: ParsedRequest, overTls: boolean): string {
  return `${overTls ? 'https' : 'http'}://${headers['host'] ?? 'localhost'}/${bucket}/${encodeUrl(key)}`;
}

function readParts(bytes: Uint8Array): CompleteInput['parts'] {
  const { children } = parseXml(bytes, 'CompleteMultipartUpload');
  if (children.length === 0 || children.length > maxParts) throw malformedXml();
  return children.map(readPart);
}

const partElements = [
  'PartNumber',
  'ETag',
  ...checksumAlgorithms.map((algorithm) => `Checksum${algorithm}` as const),
] as const;

function readPart(element: XmlElement): CompleteInput['parts'][number] {
  if (element.name !== 'Part') throw malformedXml();
  const texts = textsOf(element, partElements);
  const number = texts.PartNumber?.trim() ?? '';
  if (!/^\d{1,9}$/.test(number) || texts.ETag === undefined) throw malformedXml();
  if (Number(number) < 1 || Number(number) > maxParts) {
    throw invalidArgument('PartNumber must be >= 1 and <= 10000', 'partNumber', number);
  }
  const checksums = checksumAlgorithms.flatMap((algorithm) => texts[`Checksum${algorithm}`] ?? []);
  if (checksums.length > 1) throw malformedXml();
  return {
    number: Number(number),
    etag: texts.ETag.trim().replaceAll('"', ''),
    ...(checksums.length === 0 ? {} : { checksum: checksums[0]! }),
  };
}

/** `x-amz-mp-object-size`: what the client believes the object comes to. @throws S3Error InvalidRequest. */
async function checkObjectSize(
  { request, layer }: OperationContext,
  { uploadId, parts }: { uploadId: string; parts: CompleteInput['parts'] },
): Promise<void> {
  const claimed = request.headers['x-amz-mp-object-size'];
  if (claimed === undefined) return;
  const wanted = new Set(parts.map(({ number }) => number));
  let sizeBytes = 0;
  for (let afterPart = 0, more = true; more;) {
    const page = await layer.listParts(request.bucket, request.key, uploadId, { afterPart, maxParts: 1000 });
    for (const part of page.parts) if (wanted.has(part.number)) sizeBytes += part.sizeBytes;
    more = page.truncated && page.nextPartNumber !== undefined;
    afterPart = page.nextPartNumber ?? afterPart;
  }
  if (String(sizeBytes) === claimed) return;
  throw invalidRequest(
    `The provided 'x-amz-mp-object-size' header does not match what was computed. Expected: ${claimed}, computed: ${sizeBytes}`,
  );
}

/** A repeat of a completion finds no parts any more; whether it is one, the completion itself finds out. */
function unlessCompleted(error: unknown): void {
  if (!(error instanceof StorageError) || error.code !== 'NoSuchUpload') throw error;
}
