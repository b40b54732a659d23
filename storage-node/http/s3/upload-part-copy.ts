import { type Operation } from '../operation.ts';
import { checksumXml } from './checksums.ts';
import { payloadFrom, wholeOf } from './copy-data.ts';
import { maxCopyBytes, openSource, parseCopySource } from './copy-source.ts';
import { isoTime } from './dates.ts';
import { storePart } from './part.ts';
import { parseCopyRange } from './ranges.ts';
import { invalidRequest } from './refusals.ts';
import { xmlAnswer } from './xml.ts';

export const uploadPartCopy: Operation = {
  name: 'UploadPartCopy',
  dialect: 's3',
  method: 'PUT',
  resource: 'object',
  query: ['partNumber', 'uploadId'],
  header: 'x-amz-copy-source',
  actions: ['s3:PutObject', 's3:GetObject'],
  parameters: [],
  async handle(context) {
    const { headers } = context.request;
    const object = await openSource(context, parseCopySource(headers['x-amz-copy-source']!));
    try {
      const { info } = object;
      const asked = headers['x-amz-copy-source-range'];
      const range = asked === undefined ? wholeOf(info.sizeBytes) : parseCopyRange(asked, info.sizeBytes);
      const payload = payloadFrom(object, range);
      if (payload.expectedBytes! > maxCopyBytes) {
        throw invalidRequest(
          `The specified copy source is larger than the maximum allowable size for a copy source: ${maxCopyBytes}`,
        );
      }
      const { etag, checksum } = await storePart(context, payload);
      const answered: Record<string, string> = {};
      if (info.shownVersionId !== undefined) answered['x-amz-copy-source-version-id'] = info.shownVersionId;
      const modified = `<LastModified>${isoTime(Date.now())}</LastModified>`;
      const content = `${modified}<ETag>&quot;${etag}&quot;</ETag>${checksumXml(checksum, false)}`;
      return xmlAnswer('CopyPartResult', content, answered);
    } finally {
      object.close();
    }
  },
};
