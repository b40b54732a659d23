import { type Operation } from '../operation.ts';
import { checksumPlanOf } from './checksums.ts';
import { metadataOf, storageClassOf } from './metadata.ts';
import { taggingOf } from './tagging.ts';
import { escapeXml, xmlAnswer } from './xml.ts';

export const createMultipartUpload: Operation = {
  name: 'CreateMultipartUpload',
  dialect: 's3',
  method: 'POST',
  resource: 'object',
  query: ['uploads'],
  actions: ['s3:PutObject'],
  parameters: [],
  async handle({ request, layer }) {
    const { bucket, key } = request;
    const plan = checksumPlanOf(request.headers);
    const storageClass = storageClassOf(request.headers);
    const tags = taggingOf(request.headers);
    const { uploadId } = await layer.createUpload({
      bucket,
      key,
      metadata: metadataOf(request.headers),
      checksumAlgorithm: plan.algorithm,
      checksumType: plan.type,
      ...(storageClass === undefined ? {} : { storageClass }),
      ...(tags === undefined ? {} : { tags }),
    });
    const headers: Record<string, string> = {};
    if (plan.algorithm !== undefined) headers['x-amz-checksum-algorithm'] = plan.algorithm;
    if (plan.type !== undefined) headers['x-amz-checksum-type'] = plan.type;
    const names = `<Bucket>${bucket}</Bucket><Key>${escapeXml(key)}</Key>`;
    return xmlAnswer('InitiateMultipartUploadResult', `${names}<UploadId>${uploadId}</UploadId>`, headers);
  },
};
