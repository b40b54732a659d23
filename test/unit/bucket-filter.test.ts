import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateBucket } from '../../activities/drivers/bucket/config.ts';
import { compileFilter } from '../../activities/mover/run/filter.ts';
import { filterOf, ruleOf } from '../../activities/drivers/bucket/replication/rule.ts';
import { type Json, type PlanResource } from '../../workflows/engine/plan.ts';

const site = { endpoints: 'env:URLS', accessKey: 'env:USER', secretKey: 'env:PASSWORD' };
const bucketOf = (replicate: Json): PlanResource =>
  ({
    ...{ name: 'receipts', driver: 'bucket', sites: {} },
    shared: { bucket: 'receipts', replication: 'async', replicate },
  }) as unknown as PlanResource;

test('a replicated bucket copies what prefix, include and exclude all mean, and never what Muster keeps there', () => {
  const cases: [Json, string, boolean][] = [
    [{}, 'any/key', true],
    [{}, '.muster/receives', false],
    [{ prefix: 'receipts/' }, 'receipts/1', true],
    [{ prefix: 'receipts/' }, 'drafts/receipts/1', false],
    [{ include: ['/receipts/**', '*.pdf'] }, 'drafts/a.pdf', true],
    [{ include: ['/receipts/**', '*.pdf'] }, 'drafts/a.txt', false],
    [{ include: ['**'] }, '.muster/probe', false],
    [{ prefix: 'receipts/', include: ['*.pdf'], exclude: ['tmp/**'] }, 'receipts/1.pdf', true],
    [{ prefix: 'receipts/', include: ['*.pdf'], exclude: ['tmp/**'] }, 'receipts/tmp/1.pdf', false],
    [{ prefix: 'receipts/', include: ['*.pdf'], exclude: ['tmp/**'] }, '1.pdf', false],
  ];
  for (const [replicate, key, expected] of cases) {
    const resource = bucketOf(replicate);
    const { named } = compileFilter(filterOf(resource), 0);
    assert.equal(named(key), expected, `${JSON.stringify(replicate)} ${key}`);
    assert.deepEqual(ruleOf(resource, { epoch: 1, from: 'here' }).filter, filterOf(resource));
  }
});

for (const [replicate, where] of [
  [{ prefix: '.muster/x' }, 'replicate.prefix'],
  [{ prefix: '' }, 'replicate.prefix'],
  [{ include: ['a{b'] }, 'replicate.include.0'],
  [{ exclude: ['ok', 'a{b'] }, 'replicate.exclude.1'],
  [{ include: 'all' }, 'replicate.include'],
] as const)
  test(`a filter that cannot be meant is refused with its place: ${JSON.stringify(replicate)}`, () => {
    const entry = { driver: 'bucket', bucket: 'receipts', replication: 'async', replicate, here: site, there: site };
    const problems = validateBucket(entry as unknown as Json, ['here', 'there']);
    assert.deepEqual(
      problems.map(({ path }) => path.join('.')),
      [where],
    );
    assert.ok(problems[0]!.fix.includes('prefix: receipts/'));
  });
