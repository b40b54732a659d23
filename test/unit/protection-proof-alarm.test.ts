/** What counts as an attack on files, told from how they changed and what they look like now. */
import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { alarmOf, type Changes } from '../../activities/protection/proof/alarm.ts';
import {
  entropyOf,
  isScrambledFile,
  looksScrambled,
  packedFormat,
  unevennessOf,
} from '../../activities/protection/proof/entropy.ts';
import type { ProofChecks } from '../../workflows/engine/protection.ts';

const encrypted = (plain: Buffer): Buffer => {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16, 9));
  return Buffer.concat([cipher.update(plain), cipher.final()]);
};
const prose = Buffer.from('It was the best of backups, it was the worst of backups. '.repeat(200));
const json = Buffer.from(
  JSON.stringify(Array.from({ length: 300 }, (_, id) => ({ id, name: `customer ${id * 7919}` }))),
);
const base64 = Buffer.from(randomBytes(4_096).toString('base64'));
/** Numbers of four bytes, little-endian, as tables of measurements have them. */
const numbers = Buffer.from(Uint32Array.from({ length: 2_000 }, (_, i) => i * 37).buffer);

describe('bytes', () => {
  const looks: { name: string; bytes: Buffer; scrambled: boolean | null }[] = [
    { name: 'prose', bytes: prose.subarray(0, 4_096), scrambled: false },
    { name: 'JSON', bytes: json.subarray(0, 4_096), scrambled: false },
    { name: 'random bytes in base64', bytes: base64.subarray(0, 4_096), scrambled: false },
    { name: 'a table of numbers', bytes: numbers.subarray(0, 4_096), scrambled: false },
    { name: 'zeros', bytes: Buffer.alloc(4_096), scrambled: false },
    {
      name: 'every byte as often as every other',
      bytes: Buffer.from(Array.from({ length: 4_096 }, (_, i) => i % 256)),
      scrambled: true,
    },
    { name: 'encrypted prose', bytes: encrypted(prose).subarray(0, 4_096), scrambled: true },
    { name: 'little encrypted prose', bytes: encrypted(prose).subarray(0, 300), scrambled: true },
    { name: 'too few bytes to tell', bytes: encrypted(prose).subarray(0, 100), scrambled: null },
    { name: 'no bytes', bytes: Buffer.alloc(0), scrambled: null },
  ];
  for (const { name, bytes, scrambled } of looks) {
    test(`${name} ${scrambled === null ? 'tell nothing' : scrambled ? 'look encrypted' : 'look like what they are'}`, () => {
      assert.equal(looksScrambled(bytes), scrambled);
    });
  }

  test('entropy is 0 for one byte over and over, 1 for two of them, and never above 8', () => {
    assert.equal(entropyOf(Buffer.alloc(100, 'a')), 0);
    assert.ok(Math.abs(entropyOf(Buffer.from('ab'.repeat(10_000))) - 1) < 1e-3);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => entropyOf(bytes) >= 0 && entropyOf(bytes) <= 8),
    );
  });

  test('what a cipher makes of anything looks encrypted, whatever the key', () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const isSeen = (bytes: Uint8Array): boolean => {
      const cipher = createCipheriv('aes-256-ctr', bytes, Buffer.alloc(16));
      return looksScrambled(cipher.update(prose.subarray(0, 4_096))) === true;
    };
    fc.assert(fc.property(key, isSeen), { numRuns: 200 });
  });

  test('even bytes are even, prose is not', () => {
    assert.ok(unevennessOf(encrypted(prose)) < 400);
    assert.ok(unevennessOf(prose) > 10_000);
  });
});

describe('a file', () => {
  const head = (format: number[], rest: Buffer): Buffer =>
    Buffer.concat([Buffer.from(format), rest]).subarray(0, 4_096);
  const noise = randomBytes(4_096);
  const files: { name: string; windows: Buffer[]; scrambled: boolean | null }[] = [
    { name: 'of text', windows: [prose, prose, prose], scrambled: false },
    { name: 'that is encrypted', windows: [noise, noise, noise], scrambled: true },
    { name: 'of which only the beginning is encrypted', windows: [noise, prose, prose], scrambled: true },
    { name: 'of which all but the beginning is encrypted', windows: [prose, noise, noise], scrambled: true },
    {
      name: 'with one window of noise, as a document with a picture',
      windows: [prose, noise, prose],
      scrambled: false,
    },
    { name: 'of gzip', windows: [gzipSync(noise).subarray(0, 4_096), noise, noise], scrambled: false },
    { name: 'of zstd', windows: [zstdCompressSync(noise).subarray(0, 4_096), noise, noise], scrambled: false },
    { name: 'of a picture', windows: [head([0xff, 0xd8, 0xff, 0xe1], noise), noise, noise], scrambled: false },
    {
      name: 'of a film',
      windows: [head([0, 0, 0, 32, 0x66, 0x74, 0x79, 0x70], noise), noise, noise],
      scrambled: false,
    },
    { name: 'of a few bytes', windows: [noise.subarray(0, 50)], scrambled: null },
    { name: 'of nothing', windows: [], scrambled: null },
  ];
  for (const { name, windows, scrambled } of files) {
    test(`${name} is ${scrambled === null ? 'not judged' : scrambled ? 'scrambled' : 'not scrambled'}`, () => {
      assert.equal(isScrambledFile(windows), scrambled);
    });
  }

  test('packed formats are known by their first bytes', () => {
    assert.equal(packedFormat(gzipSync('x')), 'gzip');
    assert.equal(packedFormat(Buffer.from('%PDF-1.7')), 'pdf');
    assert.equal(packedFormat(prose), null);
    assert.equal(packedFormat(Buffer.alloc(0)), null);
  });
});

describe('the alarm', () => {
  const calm: Changes = {
    ...{ filesBefore: 100, filesNow: 100, changed: 5, appeared: 0, vanished: 0, emptied: 0 },
    looked: { judged: 5, scrambled: [] },
  };
  const few = { filesBefore: 3, filesNow: 3 };
  const locked = (count: number): string[] => Array.from({ length: count }, (_, i) => `/file-${i}`);
  const cases: { name: string; changes: Partial<Changes>; checks?: ProofChecks; alarms: string[] }[] = [
    { name: 'is silent on a calm day', changes: {}, alarms: [] },
    {
      name: 'is silent when nothing changed',
      changes: { changed: 0, looked: { judged: 0, scrambled: [] } },
      alarms: [],
    },
    { name: 'is silent at the share that is allowed', changes: { changed: 50 }, alarms: [] },
    { name: 'sounds above it', changes: { changed: 51 }, alarms: ['change-rate'] },
    { name: 'counts what went', changes: { changed: 30, vanished: 21, filesNow: 79 }, alarms: ['change-rate'] },
    {
      name: 'counts names that went though as many came',
      changes: { vanished: 60, appeared: 60 },
      alarms: ['change-rate'],
    },
    { name: 'does not count what came', changes: { appeared: 900, filesNow: 1_000 }, alarms: [] },
    {
      name: 'takes the share that the user allows',
      changes: { changed: 80 },
      checks: { maxChangedPercent: 80 },
      alarms: [],
    },
    {
      name: 'takes a lower one, too',
      changes: { changed: 11 },
      checks: { maxChangedPercent: 10 },
      alarms: ['change-rate'],
    },
    { name: 'lets all of a few files change', changes: { ...few, changed: 3 }, alarms: [] },
    { name: 'lets a few files get other names', changes: { ...few, changed: 0, vanished: 3, appeared: 3 }, alarms: [] },
    { name: 'does not let most of a few go', changes: { ...few, filesNow: 1, vanished: 2 }, alarms: ['change-rate'] },
    {
      name: 'does not let most of a few be emptied',
      changes: { ...few, changed: 2, emptied: 2 },
      alarms: ['change-rate'],
    },
    {
      name: 'is silent at the share of encrypted files that is allowed',
      changes: { looked: { judged: 50, scrambled: locked(10) } },
      alarms: [],
    },
    {
      name: 'sounds above it, though few files changed',
      changes: { looked: { judged: 5, scrambled: locked(2) } },
      alarms: ['entropy'],
    },
    {
      name: 'sounds twice for both',
      changes: { changed: 90, looked: { judged: 90, scrambled: locked(80) } },
      alarms: ['change-rate', 'entropy'],
    },
    {
      name: 'has nothing against a first file',
      changes: { filesBefore: 0, filesNow: 1, changed: 0, appeared: 1 },
      alarms: [],
    },
  ];
  for (const { name, changes, checks = {}, alarms } of cases) {
    test(name, () => {
      const findings = alarmOf({ ...calm, ...changes }, 'documents', checks);
      const sounded = findings.filter(({ verdict }) => verdict === 'failed').map(({ check }) => check);
      assert.deepEqual(sounded, alarms, JSON.stringify(findings));
      assert.deepEqual(
        findings.map(({ check }) => check),
        ['change-rate', 'entropy'],
      );
    });
  }

  test('names some of the files that look encrypted, and says how many more', () => {
    const [, entropy] = alarmOf({ ...calm, looked: { judged: 10, scrambled: locked(8) } }, 'documents', {});
    assert.match(
      entropy?.detail ?? '',
      /\(\/file-0; \/file-1; \/file-2; \/file-3; \/file-4; and 3 more\): 80 %, allowed are 20 %/,
    );
  });

  test('sounds for more change whenever it sounds for less', () => {
    const share = fc.record({ changed: fc.nat(100), more: fc.nat(100) });
    const isLoud = (changed: number): boolean =>
      alarmOf({ ...calm, changed }, 'documents', {}).some(({ verdict }) => verdict === 'failed');
    fc.assert(fc.property(share, ({ changed, more }) => !isLoud(changed) || isLoud(changed + more)));
  });
});
