/** `muster repo` on a bucket, by the address and the variables that a person would give. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { noise } from '../backup/engine/world.ts';
import { restic, skipWithoutRestic } from '../backup/repository/support/restic.ts';
import { account, startCluster, type TestCluster } from '../storage/support/dev-cluster.ts';
import { emptyPlace, lineOf, linesOf, type Place } from './support/muster.ts';
import { assertSameTree } from './support/trees.ts';

const options = { timeout: 120_000, skip: skipWithoutRestic };
let cluster: TestCluster;
const keys = { AWS_ACCESS_KEY_ID: account.user, AWS_SECRET_ACCESS_KEY: account.password, AWS_REGION: 'us-east-1' };

before(async () => {
  cluster = await startCluster();
  await cluster.client(0).send(new CreateBucketCommand({ Bucket: 'vault' }));
});
after(() => cluster?.[Symbol.asyncDispose]());

test('a repository in a bucket is made, filled, mirrored home and read by restic', options, async (t) => {
  const place: Place = emptyPlace(t);
  const endpoint = cluster.cluster.endpoints[0] as string;
  const env = { ...keys, MUSTER_REPOSITORY: `s3://vault/shop?endpoint=${endpoint}` };
  writeFileSync(place.at('file'), noise(2 * 2 ** 20));
  const run = async (...args: string[]): Promise<Record<string, unknown>[]> => {
    const { code, stdout, stderr } = await place.muster([...args, '--json'], env);
    assert.equal(code, 0, stderr + stdout);
    return linesOf(stdout);
  };
  await run('init');
  assert.equal(lineOf(await run('backup', place.source), 'summary')['files_new'], 1);
  assert.equal(lineOf(await run('check', '--read-data'), 'summary')['kind'], 'intact');
  const target = path.join(place.dir, 'restored');
  await run('restore', `latest:${place.source}`, '-t', target);
  assertSameTree(target, place.source);
  await restic(`s3:${endpoint}/vault/shop`, ['check', '--read-data'], { env: keys });

  const home = path.join(place.dir, 'home');
  await run('mirror', home);
  await restic(home, ['check', '--read-data']);
  const theirs = { ...env, MUSTER_REPOSITORY: '', RESTIC_REPOSITORY: `s3:${endpoint}/vault/shop` };
  assert.equal((await place.muster(['snapshots'], theirs)).code, 0, 'the address as restic writes it');
});
