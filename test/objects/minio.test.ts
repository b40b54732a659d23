import { after, before, test } from 'node:test';
import { describeStore } from './support/conformance.ts';
import { findMinio, type Minio, startMinio } from './support/minio.ts';

const binary = findMinio();
if (binary === undefined) {
  test('S3 of MinIO', (t) => t.skip('minio is neither on PATH nor in ~/go/bin'));
} else {
  let minio: Minio;
  before(async () => {
    minio = await startMinio(binary);
  });
  after(() => minio[Symbol.asyncDispose]());
  describeStore(
    'S3 of MinIO',
    () => ({
      place: (bucket) => ({
        ...{ dialect: 's3', bucket, prefix: '', region: 'us-east-1', addressing: 'path', endpoint: minio.endpoint },
        credentials: { kind: 'fixed', credentials: minio },
      }),
    }),
    { tags: true, objectLock: true, refusedKeys: /\/\/|(^|\/)\.{1,2}(\/|$)/, wholeChecksum: true },
  );
}
