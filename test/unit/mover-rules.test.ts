import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { carry, usualCarryRule } from '../../activities/mover/copy/carry.ts';
import { readMarks, withoutMarks, writeMarks } from '../../activities/mover/copy/marks.ts';
import { judgeOverwrite, type OverwritePolicy, type Present } from '../../activities/mover/copy/overwrite.ts';
import { partRange, planParts } from '../../activities/mover/copy/part-plan.ts';
import { kindsToCompute, proveCopy } from '../../activities/mover/copy/proof.ts';
import { isTooMuch } from '../../activities/mover/run/delete-guard.ts';
import { compileFilter } from '../../activities/mover/run/filter.ts';
import { createLimiter } from '../../activities/mover/run/limiter.ts';
import { parseRate, parseSize, parseTimetable, rateAt } from '../../activities/mover/run/timetable.ts';

const globs: [glob: string, key: string, matches: boolean][] = [
  ['*.jpg', 'a/b/c.jpg', true],
  ['*.jpg', 'c.jpg', true],
  ['/*.jpg', 'a/c.jpg', false],
  ['/a/**', 'a/b/c', true],
  ['/a/*', 'a/b/c', false],
  ['b/c', 'a/b/c', true],
  ['b/c', 'ab/c', false],
  ['?.{png,gif}', 'x.gif', true],
  ['[!a]', 'a', false],
  ['a.b', 'axb', false],
  ['*', 'line\nbreak', true],
  ['(x)+$', '(x)+$', true],
];
for (const [glob, key, matches] of globs) {
  test(`glob ${glob} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(key)}`, () => {
    assert.equal(compileFilter({ include: [glob] }, 0).named(key), matches);
    assert.equal(compileFilter({ exclude: [glob] }, 0).named(key), !matches);
  });
}

test('a glob that cannot be read is refused by name', () => {
  assert.throws(() => compileFilter({ include: ['{a'] }, 0), { code: 'CONFIG_INVALID' });
});

const at = (text: string): Date => new Date(`2026-06-${text}:00`); // the 1st of June 2026 is a Monday
const rates: [table: string, when: string, rate: number | undefined][] = [
  ['10M', '01T03:00', 10 * 1024 ** 2],
  ['512', '01T03:00', 512 * 1024],
  ['off', '01T03:00', undefined],
  ['08:00,10M 18:00,off', '01T07:59', undefined],
  ['08:00,10M 18:00,off', '01T08:00', 10 * 1024 ** 2],
  ['08:00,10M 18:00,off', '01T18:00', undefined],
  ['Mon-08:00,1M Sat-00:00,off', '01T07:59', undefined],
  ['Mon-08:00,1M Sat-00:00,off', '05T23:59', 1024 ** 2],
  ['Mon-08:00,1M Sat-00:00,off', '07T12:00', undefined],
];
for (const [table, when, rate] of rates) {
  test(`timetable ${table} at ${when} allows ${rate ?? 'everything'}`, () => {
    assert.equal(rateAt(parseTimetable(table), at(when)), rate);
  });
}
for (const wrong of ['', 'fast', '25:00,1M', '08:00,1M 18:00', 'Foo-08:00,1M', '0', '-1M']) {
  test(`timetable ${JSON.stringify(wrong)} is refused`, () => {
    assert.throws(() => parseTimetable(wrong), { code: 'CONFIG_INVALID' });
  });
}

test('a limiter that has no rate makes nobody wait, and one that has charges whoever comes next', async () => {
  assert.equal(createLimiter(() => undefined)(1e9), undefined);
  const limiter = createLimiter(() => parseRate('1M'));
  assert.equal(limiter(1024), undefined);
  const before = performance.now();
  await limiter(200 * 1024);
  assert.ok(performance.now() - before > 50);
});

const guards: [deletes: number, present: number, share: number, stops: boolean][] = [
  [0, 0, 0, false],
  [1, 10, 0.1, false],
  [2, 10, 0.1, true],
  [1, 9, 0.1, true],
  [1, 1, 0, true],
  [5, 5, 1, false],
  [5, 0, 1, true],
];
for (const [deletes, present, share, stops] of guards) {
  test(`delete guard: ${deletes} of ${present} at ${share} ${stops ? 'stops' : 'goes on'}`, () => {
    assert.equal(isTooMuch({ deletes, present }, share), stops);
  });
}

test('parts tile an object of any size, and fit what a store takes or none is planned', () => {
  const limits = fc.record({
    minPartBytes: fc.constantFrom(102_400, 5 * 1024 ** 2),
    maxPutBytes: fc.constant(5 * 1024 ** 3),
    maxParts: fc.constantFrom(100, 10_000),
  });
  const size = fc.oneof(fc.nat(10_000_000), fc.double({ min: 1, max: 60e12, noNaN: true }).map(Math.floor));
  fc.assert(
    fc.property(size, limits, (sizeBytes, store) => {
      const plan = planParts(sizeBytes, store);
      if (plan === undefined) return sizeBytes > store.maxPutBytes * store.maxParts;
      const last = partRange(plan, plan.parts);
      assert.ok(plan.parts <= store.maxParts && plan.partSizeBytes <= store.maxPutBytes);
      assert.equal(partRange(plan, 1).first, 0);
      assert.equal(last.last, Math.max(0, sizeBytes) - 1);
      if (plan.parts > 1) {
        assert.ok(plan.partSizeBytes >= store.minPartBytes);
        assert.equal(partRange(plan, 2).first, partRange(plan, 1).last + 1);
        assert.ok(last.first <= last.last);
      }
      return true;
    }),
  );
});

const mark = { sourceEtag: 'e1', sourceVersion: '', writtenAtMs: 1_000, epoch: 3, origin: '' };
const incoming = { etag: 'e2', writtenAtMs: 2_000, epoch: 3 };
const overwrites: {
  name: string;
  present: Partial<Present>;
  policy?: OverwritePolicy;
  known?: string;
  want: string;
}[] = [
  { name: 'an older copy of ours gives way', present: { marks: mark }, want: 'write' },
  { name: 'a newer copy of ours stays', present: { marks: { ...mark, writtenAtMs: 9_000 } }, want: 'newer' },
  {
    name: 'the copy of this very write is the same',
    present: { marks: { ...mark, sourceEtag: 'e2', writtenAtMs: 2_000 } },
    want: 'same',
  },
  { name: 'a higher epoch stays', present: { marks: { ...mark, epoch: 4 } }, want: 'higher-epoch' },
  {
    name: 'a higher epoch stays even under always',
    present: { marks: { ...mark, epoch: 4 } },
    policy: 'always',
    want: 'higher-epoch',
  },
  {
    name: 'a lower epoch gives way though its clock ran ahead',
    present: { marks: { ...mark, epoch: 2, writtenAtMs: 9_000 } },
    want: 'write',
  },
  { name: 'what others wrote stays', present: {}, want: 'foreign' },
  { name: 'what the ledger knows gives way, marked or not', present: {}, known: 'there', want: 'write' },
  { name: 'what the ledger knew and others overwrote stays', present: {}, known: 'before', want: 'foreign' },
  {
    name: 'under older what others wrote before gives way',
    present: { lastModifiedMs: 1_999 },
    policy: 'older',
    want: 'write',
  },
  {
    name: 'under older what others wrote since stays',
    present: { lastModifiedMs: 2_000 },
    policy: 'older',
    want: 'newer',
  },
  { name: 'under always it gives way', present: {}, policy: 'always', want: 'write' },
];
for (const { name, present, policy = 'ours', known, want } of overwrites) {
  test(`overwriting: ${name}`, () => {
    const there = { etag: 'there', lastModifiedMs: 0, marks: undefined, ...present };
    const said = judgeOverwrite(incoming, there, known === undefined ? { policy } : { policy, knownEtag: known });
    assert.equal(said.kind === 'keep' ? said.why : said.kind, want);
  });
}

test('marks come back as they were written, and what is no mark stays the object’s own', () => {
  const marks = { ...mark, sourceVersion: 'v', origin: 'hangzhou' };
  const metadata = { owner: 'x', ...writeMarks(marks) };
  assert.deepEqual(readMarks(metadata), marks);
  assert.deepEqual(withoutMarks(metadata), { owner: 'x' });
  assert.equal(readMarks({ owner: 'x', 'muster-etag': 'e' }), undefined);
});

test('what a target has no place for is named, and the rest goes along', () => {
  const info = {
    ...{
      key: 'k',
      sizeBytes: 1,
      etag: 'e',
      lastModifiedMs: 0,
      storageClass: 'GLACIER',
      content: {},
      metadata: { a: 'b'.repeat(2_000) },
    },
    ...{ checksums: {}, archived: false, legalHold: true, retention: { mode: 'COMPLIANCE' as const, untilMs: 1 } },
  };
  const to = { dialect: 'oss' as const, objectLock: false, refused: new Set(['tags' as const]) };
  const { carried, notCarried } = carry({ info, tags: { t: '1' }, dialect: 's3' }, to, {
    rule: usualCarryRule,
    marks: mark,
  });
  assert.deepEqual(notCarried, ['tags', 'retention', 'legal hold', 'storage class GLACIER']);
  assert.equal(readMarks(carried.metadata)?.sourceEtag, 'e1');
  const tight = carry(
    { info, tags: undefined, dialect: 's3' },
    { ...to, dialect: 's3' },
    { rule: usualCarryRule, marks: mark },
  );
  assert.deepEqual(Object.keys(tight.carried.metadata), ['a']);
  assert.ok(tight.notCarried.some((what) => what.includes('marks')));
});

const proofs: { name: string; source: object; own: object; target: object; want: string }[] = [
  {
    name: 'all three agree',
    source: { md5: 'a' },
    own: { md5: 'a', crc64nvme: 'b' },
    target: { crc64nvme: 'b' },
    want: 'three-way',
  },
  {
    name: 'the source is silent',
    source: {},
    own: { crc64nvme: 'b' },
    target: { crc64nvme: 'b' },
    want: 'target-only',
  },
  { name: 'the target is silent', source: { md5: 'a' }, own: { md5: 'a' }, target: {}, want: 'source-only' },
  { name: 'both are silent', source: {}, own: { md5: 'a' }, target: {}, want: 'none' },
  {
    name: 'the read differs',
    source: { md5: 'x' },
    own: { md5: 'a' },
    target: { md5: 'a' },
    want: 'CHECKSUM_MISMATCH',
  },
  {
    name: 'the write differs',
    source: { md5: 'a' },
    own: { md5: 'a' },
    target: { md5: 'x' },
    want: 'CHECKSUM_MISMATCH',
  },
];
for (const { name, want, ...three } of proofs) {
  test(`proof of a copy: ${name}`, () => {
    const proved = (): string => {
      try {
        return proveCopy('k', three);
      } catch (err) {
        return (err as { code: string }).code;
      }
    };
    assert.equal(proved(), want);
  });
}

test('one checksum is computed where source and target keep the same, else one of each', () => {
  assert.deepEqual(kindsToCompute({ crc64nvme: 'a', md5: 'b' }, 'crc64nvme'), ['crc64nvme']);
  assert.deepEqual(kindsToCompute({ crc64nvme: 'a', md5: 'b' }, 'crc64ecma'), ['crc64ecma', 'crc64nvme']);
  assert.deepEqual(kindsToCompute({ md5: 'b' }, 'crc64nvme'), ['crc64nvme', 'md5']);
  assert.deepEqual(kindsToCompute({}, 'crc64nvme'), ['crc64nvme']);
});

const sizes: [text: string, bytes: number | null][] = [
  ['500B', 500],
  ['10K', 10_240],
  ['2', 2_048],
  ['1.5M', 1_572_864],
  ['0', 0],
  ['off', null],
  ['10X', null],
  ['', null],
];
for (const [text, bytes] of sizes) {
  test(`"${text}" as a size is ${bytes === null ? 'refused, as a size' : `${bytes} bytes`}`, () => {
    if (bytes === null) assert.throws(() => parseSize(text), { code: 'CONFIG_INVALID', message: /is no size such as/ });
    else assert.equal(parseSize(text), bytes);
  });
}
