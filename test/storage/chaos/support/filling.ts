import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PutObjectCommand, type S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { type ChaosCluster } from './cluster.ts';
import { sumOf } from './journal.ts';
import { atOnce, listKeys, read } from './verify.ts';

export const Bucket = 'full';
export const mebibyte = 1024 * 1024;
export const bodyMiB = 4;

/** What happened to a write. */
export async function outcome(write: Promise<unknown>): Promise<string> {
  try {
    await write;
    return 'ok';
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return `${error.$metadata.httpStatusCode} ${error.name}`;
  }
}

/** What objects must be: every one that was acknowledged. */
export type Objects = Map<string, string>;

/** Writes objects until the first is refused, or there are enough. @returns how the last one ended */
export async function fill(clients: readonly S3Client[], objects: Objects, atMost: number): Promise<string> {
  let end = 'ok';
  let next = objects.size;
  const last = next + atMost;
  const writer = async (client: S3Client): Promise<void> => {
    while (end === 'ok' && next < last) {
      const Key = `k${next++}`;
      const Body = randomBytes(bodyMiB * mebibyte);
      const how = await outcome(client.send(new PutObjectCommand({ Bucket, Key, Body })));
      if (how === 'ok') objects.set(Key, sumOf(Body));
      else end = how;
    }
  };
  await Promise.all(clients.map(writer));
  return end;
}

export async function assertAllThere(clients: readonly S3Client[], objects: Objects): Promise<void> {
  const listed = new Set(await listKeys(clients[0]!, Bucket));
  let turn = 0;
  await atOnce([...objects], async ([key, sum]) => {
    assert.ok(listed.has(key), `${key} is not listed`);
    assert.equal(await read(clients[turn++ % clients.length]!, { bucket: Bucket, key }), sum, key);
  });
}

export function clientsOf(cluster: ChaosCluster): S3Client[] {
  return cluster.pids.map((_, node) => cluster.client(node));
}

/** Tries to write an object that the others are not counted with. */
export async function put(client: S3Client, bytes: number, Key = 'one more'): Promise<string> {
  return outcome(client.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(bytes, 1) })));
}
