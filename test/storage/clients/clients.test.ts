import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { before, after, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { account, startCluster, type TestCluster } from '../support/dev-cluster.ts';

const run = promisify(execFile);
let plain: TestCluster;
let secure: TestCluster;
const home = mkdtempSync(path.join(os.tmpdir(), 'muster-clients-'));

before(async () => {
  plain = await startCluster();
  secure = await startCluster({ tls: true });
});
after(async () => {
  await plain[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

/** Where a tool is, or a skip that says aloud that it is missing. */
function tool(context: TestContext, name: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
    return true;
  } catch {
    context.skip(`${name} is not installed`);
    return false;
  }
}

/** Some files in folders, with odd names. */
function tree(name: string): string {
  const dir = path.join(home, name);
  mkdirSync(path.join(dir, 'a b', 'ü+%'), { recursive: true });
  writeFileSync(path.join(dir, 'empty'), '');
  writeFileSync(path.join(dir, 'a b', 'small'), randomBytes(1_000));
  writeFileSync(path.join(dir, 'a b', 'ü+%', 'large'), randomBytes(7_000_000));
  return dir;
}

for (const way of ['http', 'https'] as const) {
  const world = (): TestCluster => (way === 'http' ? plain : secure);
  test(`@aws-sdk/client-s3 over ${way}: buffers and streams, checksums, conditions, ranges`, async () => {
    const client = world().client(1);
    const Bucket = 'sdk-bucket';
    await client.send(new CreateBucketCommand({ Bucket }));
    const bytes = randomBytes(3_000_000);
    await client.send(new PutObjectCommand({ Bucket, Key: 'buffer', Body: bytes, Metadata: { colour: 'blue' } }));
    await client.send(
      new PutObjectCommand({ Bucket, Key: 'stream', Body: Readable.from([bytes]), ContentLength: bytes.length }),
    );
    for (const Key of ['buffer', 'stream']) {
      const answer = await client.send(new GetObjectCommand({ Bucket, Key }));
      assert.ok(Buffer.from(await answer.Body!.transformToByteArray()).equals(bytes));
      assert.ok(answer.ChecksumCRC32 !== undefined);
    }
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'buffer' }));
    assert.deepEqual([head.ContentLength, head.Metadata], [bytes.length, { colour: 'blue' }]);
    const part = await client.send(new GetObjectCommand({ Bucket, Key: 'buffer', Range: 'bytes=1048570-1048589' }));
    assert.ok(Buffer.from(await part.Body!.transformToByteArray()).equals(bytes.subarray(1_048_570, 1_048_590)));
    const again = client.send(new PutObjectCommand({ Bucket, Key: 'buffer', Body: 'x', IfNoneMatch: '*' }));
    await assert.rejects(again, { name: 'PreconditionFailed' });
  });
}

for (const v4 of [false, true]) {
  test(`ali-oss with signatures of version ${v4 ? 4 : 1}: put, get, head, list, copy, parts, delete`, async () => {
    interface Oss {
      putBucket(name: string): Promise<unknown>;
      put(name: string, body: Buffer, options?: object): Promise<unknown>;
      get(name: string): Promise<{ content: Buffer }>;
      head(name: string): Promise<{ meta: object }>;
      list(query: object): Promise<{ objects: { name: string }[] }>;
      listV2(query: object): Promise<{ objects: { name: string }[] }>;
      copy(to: string, from: string): Promise<unknown>;
      multipartUpload(name: string, file: string, options: object): Promise<unknown>;
      deleteMulti(names: string[]): Promise<unknown>;
      delete(name: string): Promise<unknown>;
      deleteBucket(name: string): Promise<unknown>;
    }
    const Client = createRequire(import.meta.url)('ali-oss') as new (options: object) => Oss;
    const bucket = `oss-bucket-${v4 ? 4 : 1}`;
    const oss = new Client({
      ...{
        endpoint: plain.cluster.endpoints[2],
        region: 'oss-us-east-1',
        bucket,
        authorizationV4: v4,
        sldEnable: true,
      },
      ...{ accessKeyId: account.user, accessKeySecret: account.password },
    });
    await oss.putBucket(bucket);
    await oss.put('a/b ü+.txt', Buffer.from('hello'), { meta: { uid: 7 } });
    assert.equal((await oss.get('a/b ü+.txt')).content.toString(), 'hello');
    assert.deepEqual((await oss.head('a/b ü+.txt')).meta, { uid: '7' });
    for (const page of [await oss.list({ prefix: 'a/' }), await oss.listV2({ prefix: 'a/' })]) {
      assert.deepEqual(
        page.objects.map(({ name }) => name),
        ['a/b ü+.txt'],
      );
    }
    await oss.copy('copy', 'a/b ü+.txt');
    assert.equal((await oss.get('copy')).content.toString(), 'hello');
    const file = path.join(home, 'oss-large');
    writeFileSync(file, randomBytes(11_000_000));
    await oss.multipartUpload('large', file, { partSize: 5 * 1024 * 1024 });
    assert.ok((await oss.get('large')).content.equals(readFileSync(file)));
    await assert.rejects(oss.get('nothing'), { code: 'NoSuchKey', status: 404 });
    await oss.deleteMulti(['copy', 'large']);
    await oss.delete('a/b ü+.txt');
    await oss.deleteBucket(bucket);
  });
}

test('rclone copies a tree there and back, and finds no difference', { timeout: 120_000 }, async (context) => {
  if (!tool(context, 'rclone')) return;
  const source = tree('rclone');
  const { AWS_CA_BUNDLE: _, ...own } = process.env;
  const env = {
    ...own,
    ...{ RCLONE_CONFIG: path.join(home, 'none'), RCLONE_CONFIG_M_TYPE: 's3', RCLONE_CONFIG_M_PROVIDER: 'Other' },
    ...{ RCLONE_CONFIG_M_ENDPOINT: plain.cluster.endpoints[0]!, RCLONE_CONFIG_M_REGION: 'us-east-1' },
    ...{ RCLONE_CONFIG_M_ACCESS_KEY_ID: account.user, RCLONE_CONFIG_M_SECRET_ACCESS_KEY: account.password },
  };
  const rclone = (...args: string[]): Promise<unknown> =>
    run('rclone', ['--s3-upload-cutoff', '5M', '--s3-chunk-size', '5M', ...args], { env });
  await rclone('mkdir', 'm:rclone-bucket');
  await rclone('copy', source, 'm:rclone-bucket/tree');
  await rclone('check', source, 'm:rclone-bucket/tree', '--download');
  await rclone('copy', 'm:rclone-bucket/tree', path.join(home, 'rclone-back'));
  await rclone('check', source, path.join(home, 'rclone-back'));
  await rclone('purge', 'm:rclone-bucket');
});

test(
  'restic keeps a repository here, checks all of it, and restores from it',
  { timeout: 180_000 },
  async (context) => {
    if (!tool(context, 'restic')) return;
    const source = tree('restic');
    const env = {
      ...process.env,
      ...{ RESTIC_PASSWORD: 'restic', RESTIC_CACHE_DIR: path.join(home, 'cache') },
      ...{ AWS_ACCESS_KEY_ID: account.user, AWS_SECRET_ACCESS_KEY: account.password },
    };
    const restic = (...args: string[]): Promise<unknown> =>
      run('restic', ['-r', `s3:${plain.cluster.endpoints[3]}/restic-bucket`, ...args], { env });
    await restic('init');
    await restic('backup', source);
    await restic('check', '--read-data');
    await restic('restore', 'latest', '--target', path.join(home, 'restic-back'));
    const back = path.join(home, 'restic-back', source, 'a b', 'ü+%', 'large');
    assert.ok(readFileSync(back).equals(readFileSync(path.join(source, 'a b', 'ü+%', 'large'))));
  },
);

test('mc makes buckets, copies, lists and removes', { timeout: 120_000 }, async (context) => {
  if (!tool(context, 'mc')) return;
  const source = tree('mc');
  const url = plain.cluster.endpoints[1]!.replace('://', `://${account.user}:${account.password}@`);
  const env = { ...process.env, MC_HOST_m: url, MC_CONFIG_DIR: path.join(home, 'mc-config') };
  const mc = (...args: string[]): Promise<{ stdout: string }> => run('mc', ['--quiet', ...args], { env });
  await mc('mb', 'm/mc-bucket');
  await mc('cp', '--recursive', `${source}/`, 'm/mc-bucket/');
  const { stdout } = await mc('ls', '--recursive', 'm/mc-bucket');
  assert.match(stdout, /a b\/ü\+%\/large/);
  await mc('cp', 'm/mc-bucket/a b/small', path.join(home, 'mc-back'));
  assert.ok(readFileSync(path.join(home, 'mc-back')).equals(readFileSync(path.join(source, 'a b', 'small'))));
  await mc('rb', '--force', 'm/mc-bucket');
});
