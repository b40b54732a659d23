import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { listedState } from '../../../storage-node/object/listed-state.ts';
import { type Version } from '../../../storage-node/object/model.ts';
import { decodeState, encodeState } from '../../../storage-node/object/state-codec.ts';

const hex = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const size = fc.oneof(fc.nat(200), fc.nat(70_000), fc.nat(0x7fff_ffff), fc.integer({ min: 2 ** 32, max: 5 * 2 ** 40 }));
const checksum = fc.option(
  fc.oneof(
    fc.record({ algorithm: fc.constantFrom('CRC32', 'SHA256', 'CRC64NVME'), type: fc.constant('FULL_OBJECT') }),
    fc.record({ algorithm: fc.constantFrom('CRC32C', 'SHA1'), type: fc.constant('COMPOSITE') }),
  ),
  { nil: undefined },
);
const part = fc.record({
  number: fc.integer({ min: 1, max: 10_000 }),
  sizeBytes: size,
  md5: hex,
  checksum: fc.constant(undefined),
  dataId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  small: fc.boolean(),
});
const version = fc
  .record({
    versionId: fc.constantFrom('null', '0192aabbccddeeff00112233445566778899aabb'),
    deleteMarker: fc.boolean(),
    etag: fc.oneof(hex, fc.constant('d41d8cd98f00b204e9800998ecf8427e-3')),
    lastModifiedMs: fc.oneof(fc.nat(), fc.integer({ min: 1.6e12, max: 2e12 })),
    metadata: fc.record({
      headers: fc.constantFrom({ 'content-type': 'application/octet-stream' }, { 'content-type': 'text/plain' }, {}),
      user: fc.dictionary(fc.constantFrom('a', 'value'), fc.string(), { maxKeys: 2 }),
    }),
    checksum,
    parts: fc.array(part, { maxLength: 3 }),
    multipart: fc.boolean(),
    storageClass: fc.constantFrom('STANDARD', 'GLACIER'),
    extra: fc.constantFrom({}, { upload: 'x' }, { tags: ['a', 'b'] }),
    usual: fc.boolean(),
  })
  .map(({ usual, parts, checksum: kind, ...rest }) => {
    const [first] = parts;
    const whole = usual && first !== undefined ? [{ ...first, number: 1, md5: rest.etag }] : parts;
    const value = kind?.type === 'COMPOSITE' ? 'AAAA-2' : Buffer.alloc(4, 7).toString('base64');
    const multipart = rest.multipart && !usual;
    return {
      ...rest,
      multipart,
      parts: whole,
      checksum: kind === undefined ? undefined : { ...kind, value },
    } as Version;
  });

const around = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
const bytesAround = fc.tuple(around, around);

test('a listing shows what the whole state says, whatever its form', () => {
  fc.assert(
    fc.property(fc.array(version, { minLength: 1, maxLength: 3 }), bytesAround, (versions, [before, after]) => {
      const state = Buffer.from(encodeState({ versions }));
      const bytes = Buffer.concat([before, state, after]);
      const listed = listedState(bytes, before.length, before.length + state.length);
      const { lastModifiedMs, etag, sizeBytes, storageClass, checksum: kind } = decodeState(state).versions[0]!;
      const shownKind = kind === undefined ? undefined : { algorithm: kind.algorithm, type: kind.type };
      assert.deepEqual(
        {
          ...listed,
          checksum: listed.checksum && { algorithm: listed.checksum.algorithm, type: listed.checksum.type },
        },
        { lastModifiedMs, etag, sizeBytes, storageClass, checksum: shownKind },
      );
    }),
    { numRuns: 1_000 },
  );
});

test('a state that was cut short is refused and not misread', () => {
  fc.assert(
    fc.property(version, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (one, share) => {
      const state = Buffer.from(encodeState({ versions: [one] }));
      const end = Math.floor(state.length * share);
      try {
        const { etag } = listedState(state, 0, end);
        assert.equal(etag, decodeState(state).versions[0]!.etag);
      } catch (error) {
        assert.ok(!(error instanceof assert.AssertionError), String(error));
      }
    }),
  );
});
