import { type PutInput, type PutResult } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { addChecksumHeaders } from './checksums.ts';
import { writeConditions } from './conditions.ts';
import { metadataOf, storageClassOf } from './metadata.ts';
import { checkBodySize, receive } from './receive.ts';
import { refuseHalfPart } from './refusals.ts';
import { taggingOf } from './tagging.ts';

export const putObject: Operation = {
  name: 'PutObject',
  dialect: 's3',
  method: 'PUT',
  resource: 'object',
  query: [],
  actions: ['s3:PutObject'],
  parameters: [],
  async handle({ request, payload, layer }) {
    const { bucket, key, headers } = request;
    refuseHalfPart(request.query);
    const conditions = writeConditions(headers);
    const storageClass = storageClassOf(headers);
    const tags = taggingOf(headers);
    const input: PutInput = { bucket, key, metadata: metadataOf(headers), expectedBytes: payload.expectedBytes };
    if (storageClass !== undefined) input.storageClass = storageClass;
    if (tags !== undefined) input.tags = tags;
    checkBodySize(payload.expectedBytes);
    const upload = await layer.put(input);
    const answer: Record<string, string> = {};
    const result: PutResult = await receive({ payload, upload }, ({ checksum }) => {
      addChecksumHeaders(answer, checksum);
      return upload.commit({ conditions, checksum });
    });
    answer['etag'] = `"${result.etag}"`;
    if (result.versionId !== undefined) answer['x-amz-version-id'] = result.versionId;
    return { status: 200, headers: answer };
  },
};
