import { after, before } from 'node:test';
import { type ObjectPlace } from '../../activities/objects/place.ts';
import { account, startCluster, type TestCluster } from '../storage/support/dev-cluster.ts';
import { describeStore } from './support/conformance.ts';

let plain: TestCluster;
let secure: TestCluster;
before(async () => {
  plain = await startCluster();
  secure = await startCluster({ tls: true });
});
after(async () => {
  await plain[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
});

function placeOf(cluster: TestCluster, dialect: ObjectPlace['dialect'], bucket: string): ObjectPlace {
  const { endpoints, caFile } = cluster.cluster;
  const keys = { accessKeyId: account.user, secretAccessKey: account.password };
  return {
    ...{ dialect, bucket, prefix: '', addressing: 'path', endpoint: endpoints[0]! },
    region: dialect === 's3' ? 'us-east-1' : 'cn-hangzhou',
    credentials: { kind: 'fixed', credentials: keys },
    ...(caFile === undefined ? {} : { caFile }),
  };
}

const traits = { tags: true, objectLock: false, refusedKeys: /^$/, wholeChecksum: true };

describeStore('S3 of our nodes', () => ({ place: (bucket) => placeOf(plain, 's3', bucket) }), traits);
describeStore('S3 of our nodes over TLS', () => ({ place: (bucket) => placeOf(secure, 's3', bucket) }), traits);
describeStore('OSS of our nodes', () => ({ place: (bucket) => placeOf(plain, 'oss', bucket) }), {
  ...traits,
  wholeChecksum: false,
  minPartBytes: 5 * 2 ** 20,
});
