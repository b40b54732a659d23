import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketEntries } from '../../activities/backup/source/bucket.ts';
import { checksumsOf } from '../../activities/objects/checksum/hasher.ts';
import type { Checksums, ObjectBody, ObjectClient, ObjectInfo } from '../../activities/objects/types.ts';
import { toMusterError } from '../../workflows/engine/errors.ts';

const bytes = Buffer.from('what the store sent');

/** A bucket of one object, of which the store knows these checksums. */
function bucketOf(checksums: Checksums): ObjectClient {
  const listed = {
    key: 'a',
    sizeBytes: bytes.length,
    etag: 'f'.repeat(32),
    lastModifiedMs: 0,
    storageClass: 'STANDARD',
  };
  const info: ObjectInfo = { ...listed, content: {}, metadata: {}, checksums, archived: false };
  const client: Pick<ObjectClient, 'bucket' | 'list' | 'get'> = {
    bucket: 'receipts',
    list: () => Promise.resolve({ objects: [listed], commonPrefixes: [] }),
    get: () => Promise.resolve(bodyOf(info)),
  };
  return client as ObjectClient;
}

function bodyOf(info: ObjectInfo): ObjectBody {
  async function* pieces(): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, 4);
    yield bytes.subarray(4);
  }
  const cancel = (): void => undefined;
  return { info, lengthBytes: bytes.length, cancel, [Symbol.asyncIterator]: pieces };
}

async function allOf(body: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return pieces;
}

const { crc64nvme, md5 } = checksumsOf(['crc64nvme', 'md5'], bytes);

const cases: { name: string; checksums: Checksums; isProblem: boolean }[] = [
  { name: 'the CRC of its bytes is saved', checksums: { crc64nvme: crc64nvme! }, isProblem: false },
  { name: 'no checksum at all is saved', checksums: {}, isProblem: false },
  { name: 'another CRC is a problem by name', checksums: { crc64nvme: '0'.repeat(16) }, isProblem: true },
  { name: 'an MD5 alone is left to the proof', checksums: { md5: md5!.replaceAll('a', 'b') }, isProblem: false },
];
for (const { name, checksums, isProblem } of cases) {
  test(`an object whose store says ${name}, with what the store knew`, async () => {
    for await (const entry of bucketEntries({ client: bucketOf(checksums) })) {
      const read = allOf(entry.open!());
      if (isProblem) {
        const failure = await read.then(() => null, toMusterError);
        assert.equal(failure?.code, 'CHECKSUM_MISMATCH');
        assert.deepEqual(entry.whenFailed!(failure!)?.kind, 'unreadable');
        continue;
      }
      assert.deepEqual(Buffer.concat(await read), bytes);
      const kept = entry.after!().extendedAttributes!.find((one) => one.name === 'user.muster.checksums');
      assert.deepEqual(JSON.parse(Buffer.from(kept!.value).toString()), checksums);
    }
  });
}
