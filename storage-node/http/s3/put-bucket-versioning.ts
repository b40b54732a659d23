import { type Operation } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { headerNotImplemented, malformedXml } from './refusals.ts';
import { parseXml, textsOf } from './xml.ts';

const maxDocumentBytes = 64 * 1024;

export const putBucketVersioning: Operation = {
  name: 'PutBucketVersioning',
  dialect: 's3',
  method: 'PUT',
  resource: 'bucket',
  query: ['versioning'],
  actions: ['s3:PutBucketVersioning'],
  parameters: [],
  async handle({ request, payload, layer }) {
    const root = parseXml(await payload.bytes(maxDocumentBytes), 'VersioningConfiguration');
    const { Status: status, MfaDelete: mfaDelete } = textsOf(root, ['Status', 'MfaDelete']);
    if (mfaDelete?.trim() === 'Enabled') throw headerNotImplemented('x-amz-mfa');
    if (mfaDelete !== undefined && mfaDelete.trim() !== 'Disabled') throw malformedXml();
    const versioning = status?.trim();
    if (versioning === undefined) {
      const message = 'The Versioning element must be specified';
      throw new S3Error('IllegalVersioningConfigurationException', 400, message);
    }
    if (versioning !== 'Enabled' && versioning !== 'Suspended') throw malformedXml();
    await layer.setVersioning(request.bucket, versioning);
    return { status: 200 };
  },
};
