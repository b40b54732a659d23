import { randomBytes } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type Journal, type OpenUpload, sumOf } from './journal.ts';

export const buckets = { plain: 'plain', versions: 'versions' };

export async function createBuckets(client: S3Client): Promise<void> {
  for (const Bucket of Object.values(buckets)) await client.send(new CreateBucketCommand({ Bucket }));
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await client.send(new PutBucketVersioningCommand({ Bucket: buckets.versions, VersioningConfiguration }));
}

/** Bodies of all kinds of size: empty, inside the accept, staged, many stripes. */
export function body(i: number): Buffer {
  return randomBytes([10, 4_096, 200_000, 0, 70_000, 1_500_000][i % 6]!);
}

/** One writer: asks for one thing after another, until it is told to stop. Whoever gave it a client hears of errors. */
export interface Writer {
  client: S3Client;
  journal: Journal;
  name: string;
  goesOn: () => boolean;
}

/** Writes over its own keys again and again, and removes every fourth. */
export async function overwrite({ client, journal, name, goesOn }: Writer): Promise<void> {
  const Bucket = buckets.plain;
  for (let i = 0; goesOn(); i++) {
    const Key = `${name}/${i % 7}`;
    const at = { bucket: Bucket, key: Key };
    const Body = body(i);
    const put = journal.ask(at, { kind: 'put', sum: sumOf(Body), versionId: undefined });
    await client.send(new PutObjectCommand({ Bucket, Key, Body }));
    put();
    if (i % 4 !== 3) continue;
    const removed = journal.ask(at, { kind: 'delete', sum: undefined, versionId: undefined });
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    removed();
  }
}

/** Adds versions, delete markers now and then, and removes some versions for good. */
export async function addVersions({ client, journal, name, goesOn }: Writer): Promise<void> {
  const Bucket = buckets.versions;
  for (let i = 0; goesOn(); i++) {
    const Key = `${name}/${i % 5}`;
    const at = { bucket: Bucket, key: Key };
    const Body = body(i);
    const put = journal.ask(at, { kind: 'put', sum: sumOf(Body), versionId: undefined });
    const { VersionId } = await client.send(new PutObjectCommand({ Bucket, Key, Body }));
    put(VersionId);
    if (i % 4 === 3) {
      const marked = journal.ask(at, { kind: 'delete', sum: undefined, versionId: undefined });
      marked((await client.send(new DeleteObjectCommand({ Bucket, Key }))).VersionId);
    }
    if (i % 7 === 6) {
      const removed = journal.ask(at, { kind: 'delete-version', sum: undefined, versionId: VersionId });
      await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
      removed();
    }
  }
}

/** Uploads one object after another in two parts, into both buckets by turns. */
export async function uploadParts({ client, journal, name, goesOn }: Writer): Promise<void> {
  for (let i = 0; goesOn(); i++) {
    const bucket = i % 2 === 0 ? buckets.plain : buckets.versions;
    const open = await beginUpload(client, journal, { bucket, key: `${name}/${i % 3}` });
    await completeUpload(client, journal, open);
  }
}

const partBytes = [5 * 1024 * 1024, 100_000];

async function beginUpload(
  client: S3Client,
  journal: Journal,
  { bucket, key }: { bucket: string; key: string },
): Promise<OpenUpload> {
  const at = { Bucket: bucket, Key: key };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(at));
  let open: OpenUpload = { bucket, key, uploadId: UploadId!, parts: [], sum: sumOf(Buffer.alloc(0)) };
  const bodies: Buffer[] = [];
  for (const [i, size] of partBytes.entries()) {
    journal.upload(open);
    const Body = randomBytes(size);
    const part = await client.send(new UploadPartCommand({ ...at, UploadId, PartNumber: i + 1, Body }));
    bodies.push(Body);
    const parts = [...open.parts, { ETag: part.ETag!, PartNumber: i + 1 }];
    open = { ...open, parts, sum: sumOf(Buffer.concat(bodies)) };
  }
  journal.upload(open);
  return open;
}

async function completeUpload(client: S3Client, journal: Journal, open: OpenUpload): Promise<void> {
  journal.close(open.uploadId);
  const completed = journal.ask(open, { kind: 'put', sum: open.sum, versionId: undefined });
  const { VersionId } = await client.send(completionOf(open));
  completed(VersionId);
}

export function completionOf({ bucket, key, uploadId, parts }: OpenUpload): CompleteMultipartUploadCommand {
  const MultipartUpload = { Parts: parts };
  return new CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId, MultipartUpload });
}
