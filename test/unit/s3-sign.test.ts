import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { SignatureV4 } from '@smithy/signature-v4';
import * as fc from 'fast-check';
import { encodeS3, signRequest } from '../../activities/s3/sign.ts';

const credentials = { accessKey: 'AKIDEXAMPLE', secretKey: 'wJalrXUtnFEMI/K7MDENG', region: 'cn-hangzhou' };
const now = new Date('2026-03-04T05:06:07Z');

class Sha256 {
  readonly #parts: Uint8Array[] = [];
  readonly #key: Uint8Array | undefined;
  constructor(key?: Uint8Array | string | ArrayBuffer) {
    this.#key = key === undefined ? undefined : Buffer.from(key as Uint8Array);
  }
  update(data: Uint8Array | string): void {
    this.#parts.push(Buffer.from(data as string));
  }
  async digest(): Promise<Uint8Array> {
    const { createHmac } = await import('node:crypto');
    const hash = this.#key === undefined ? createHash('sha256') : createHmac('sha256', this.#key);
    for (const part of this.#parts) hash.update(part);
    return hash.digest();
  }
}

test('requests are signed as a signer that nobody here wrote signs them', async () => {
  const theirs = new SignatureV4({
    ...{
      service: 's3',
      region: credentials.region,
      sha256: Sha256 as never,
      uriEscapePath: false,
      applyChecksum: false,
    },
    credentials: { accessKeyId: credentials.accessKey, secretAccessKey: credentials.secretKey },
  });
  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  const arbitrary = fc.record({
    key: text.filter((s) => s !== '' && !/^\.{1,2}$/.test(s) && !s.includes('/')),
    query: fc.dictionary(fc.stringMatching(/^[a-z-]{1,10}$/), fc.stringMatching(/^[\w.~ /+:-]{0,12}$/), { maxKeys: 4 }),
    method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE'),
    body: text,
  });
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ key, query, method, body }) => {
      const search = Object.entries(query).map(([name, value]) => `${name}=${encodeS3(value, false)}`);
      const path = `/bucket/${encodeS3(key, true)}`;
      const url = new URL(`http://node1.example.com:9000${path}?${search.join('&')}`);
      const payloadHash = createHash('sha256').update(body).digest('hex');
      const ours = signRequest(
        { method, url, headers: { 'content-type': 'text/plain' }, payloadHash },
        credentials,
        now,
      );
      const signed = await theirs.sign(
        {
          ...{ method, protocol: 'http:', hostname: 'node1.example.com', port: 9000, path, query },
          headers: { host: url.host, 'content-type': 'text/plain', 'x-amz-content-sha256': payloadHash },
        },
        { signingDate: now },
      );
      assert.equal(ours['authorization'], signed.headers['authorization']);
    }),
    { numRuns: 200 },
  );
});
