import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Entry } from '../../activities/mover/compare/pages.ts';
import { compileRules, type LifecycleRule, ruleFor } from '../../activities/mover/lifecycle/rules.ts';
import { compileFilter } from '../../activities/mover/run/filter.ts';
import { parseRules } from '../../cli/lifecycle/rules-file.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

const good = `
to: s3://archive/cold
rules:
  - { name: traces, prefix: traces/, minAge: 365d, migrate: { keepSource: false } }
  - { name: copies, include: ["*.pdf"], tag: { keep: "yes" }, migrate: { keepSource: true } }
  - { name: cold, minSize: 128K, minAge: 90d, tier: STANDARD_IA }
`;

test('rules of a file become what a lifecycle carries out', () => {
  const { to, rules } = parseRules(good, 'rules.yaml');
  assert.equal(to, 's3://archive/cold');
  assert.deepEqual(rules, [
    {
      name: 'traces',
      filter: { prefix: 'traces/', minAgeMs: 365 * 86_400_000 },
      action: { kind: 'migrate', keepSource: false },
    },
    {
      name: 'copies',
      filter: { include: ['*.pdf'], tags: { keep: 'yes' } },
      action: { kind: 'migrate', keepSource: true },
    },
    {
      name: 'cold',
      filter: { minSizeBytes: 131_072, minAgeMs: 90 * 86_400_000 },
      action: { kind: 'tier', storageClass: 'STANDARD_IA' },
    },
  ]);
});

for (const [mistake, text, where] of [
  ['no condition', 'rules:\n  - { name: all, tier: IA }', /^rules\.yaml:2:5: rules\[0\]: has no condition/],
  ['two actions', 'to: s3://b\nrules: [{ name: x, minAge: 1d, tier: IA, migrate: {} }]', /rules\[0\]: has two actions/],
  ['nowhere to go', 'rules: [{ name: x, minAge: 1d, migrate: {} }]', /migrates to nowhere.*Fix: add "to"/],
  [
    'a name twice',
    'rules:\n- { name: x, minAge: 1d, tier: A }\n- { name: x, minAge: 2d, tier: B }',
    /3:11: .*a second rule/,
  ],
  ['no age', 'rules: [{ name: x, minAge: old, tier: A }]', /1:28: rules\[0\]\.minAge/],
  ['an unknown key', 'rules: [{ name: x, minAge: 1d, tier: A, olderThan: 1d }]', /olderThan/],
  ['no rules', 'to: s3://b', /rules/],
  ['no place', 'to: archive\nrules: [{ name: x, minAge: 1d, migrate: {} }]', /1:5: to: no place/],
  ['no YAML', 'rules: [', /rules\.yaml:1/],
] as const)
  test(`a mistake in the rules is named with its place: ${mistake}`, () => {
    assert.throws(
      () => parseRules(text, 'rules.yaml'),
      (err) => {
        assert.ok(err instanceof MusterError);
        assert.equal(err.code, 'CONFIG_INVALID');
        assert.match(err.message, where);
        return true;
      },
    );
  });

test('an object goes by the first rule it meets, and no later rule takes it on from there', () => {
  const tier = (name: string, minSizeBytes: number, storageClass: string): LifecycleRule => ({
    ...{ name, filter: { minSizeBytes }, action: { kind: 'tier', storageClass } },
  });
  const rules = compileRules([tier('large', 100, 'ARCHIVE'), tier('some', 10, 'IA')], 0);
  const met = (sizeBytes: number, storageClass: string): string | undefined => {
    const entry: Entry = { key: 'k', etag: '', lastModifiedMs: 0, sizeBytes, storageClass };
    return ruleFor(rules, entry)?.rule.name;
  };
  assert.deepEqual(
    [met(5, 'STANDARD'), met(50, 'STANDARD'), met(500, 'STANDARD'), met(500, 'ARCHIVE'), met(50, 'IA')],
    [undefined, 'some', 'large', undefined, undefined],
  );
});

test('a filter leaves out what others mean, and what begins otherwise', () => {
  const filter = compileFilter({ prefix: 'a/', minSizeBytes: 1, except: [{ prefix: 'a/b/', minSizeBytes: 10 }] }, 0);
  const means = (key: string, sizeBytes: number): boolean =>
    filter.named(key) && filter.sized({ key, sizeBytes, lastModifiedMs: 0 });
  assert.deepEqual(
    [means('a/x', 50), means('a/b/x', 5), means('a/b/x', 50), means('b/x', 50), means('a/x', 0)],
    [true, true, false, false, false],
  );
});
