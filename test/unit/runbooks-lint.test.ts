import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { compile } from '../../runbooks/compile.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import { lint } from '../../runbooks/lint.ts';
import { parseRunbook } from '../../runbooks/runbook.ts';
import type { Mode, Plan, RunKind } from '../../workflows/engine/plan.ts';
import { testCatalogue as catalogue } from '../support/catalogue.ts';
import { estateText, shopEstate } from '../support/estates.ts';
import { change, earlyAs, edited, is, without, type Edit } from '../support/plan-edits.ts';

function planOf(kind: RunKind, mode: Mode = 'graceful'): Plan {
  return compile({ estate: shopEstate(), service: 'shop', kind, mode, epoch: 2, catalogue });
}

const cases: { name: string; kind: RunKind; mode?: Mode; edit: Edit; rule: string; step: string | null }[] = [
  {
    name: 'a promotion without a fence',
    kind: 'failover',
    edit: without(is('fence-orders')),
    rule: 'fence-before-promote',
    step: 'promote-orders',
  },
  {
    name: 'a promotion beside the fence',
    kind: 'failover',
    edit: earlyAs('promote-orders', 'fence-orders'),
    rule: 'fence-before-promote',
    step: 'promote-orders',
  },
  {
    name: 'a fence in one mode only',
    kind: 'failover',
    edit: change(is('fence-orders'), () => ({ modes: ['graceful'] })),
    rule: 'fence-before-promote',
    step: 'promote-orders',
  },
  {
    name: 'a promotion before the loss is frozen',
    kind: 'failover',
    edit: without(is('observe-orders')),
    rule: 'frozen-before-promote',
    step: 'promote-orders',
  },
  {
    name: 'a loss frozen before the fence',
    kind: 'failover',
    edit: earlyAs('observe-orders', 'fence-orders'),
    rule: 'fence-before-promote',
    step: 'promote-orders',
  },
  {
    name: 'a fence that may be skipped',
    kind: 'failover',
    edit: change(is('fence-orders'), () => ({ onFailure: 'skip' })),
    rule: 'fence-not-optional',
    step: 'fence-orders',
  },
  {
    name: 'a fence that is not critical',
    kind: 'failback',
    edit: change(is('fence-orders'), () => ({ critical: false })),
    rule: 'fence-not-optional',
    step: 'fence-orders',
  },
  {
    name: 'a fence shorter than the lease',
    kind: 'failover',
    edit: change(is('fence-orders'), () => ({ withinMs: 2_000 })),
    rule: 'fence-outlasts-lease',
    step: 'fence-orders',
  },
  {
    name: 'two promotions of one resource',
    kind: 'failover',
    edit: (steps) => [
      ...steps,
      ...steps.filter(is('promote-orders')).map((s) => ({ ...s, id: 'again', after: ['promote-orders'] })),
    ],
    rule: 'one-writer',
    step: 'again',
  },
  {
    name: 'no promotion at all',
    kind: 'failover',
    edit: without(is('promote-orders')),
    rule: 'promote-all',
    step: null,
  },
  {
    name: 'a route beside the promotion',
    kind: 'failover',
    edit: earlyAs('route-entry', 'promote-orders'),
    rule: 'route-after-promote',
    step: 'route-entry',
  },
  {
    name: 'no proof by real clients',
    kind: 'failback',
    edit: without(is('verify-entry')),
    rule: 'verify-after-route',
    step: null,
  },
  {
    name: 'a proof beside the route',
    kind: 'failover',
    edit: earlyAs('verify-entry', 'route-entry'),
    rule: 'verify-after-route',
    step: 'route-entry',
  },
  { name: 'no commit', kind: 'failover', edit: without(is('commit')), rule: 'commit-once', step: null },
  {
    name: 'a commit beside the proof',
    kind: 'failover',
    edit: earlyAs('commit', 'verify-entry'),
    rule: 'commit-last',
    step: 'commit',
  },
  {
    name: 'a change with its undo taken away',
    kind: 'failover',
    edit: change(is('quiesce-entry'), () => ({ undo: null })),
    rule: 'undo-or-no-return',
    step: 'quiesce-entry',
  },
  {
    name: 'a step that needs the lost site',
    kind: 'failover',
    mode: 'ungraceful',
    edit: change(is('observe-orders'), () => ({ needs: ['source'] })),
    rule: 'source-not-needed',
    step: 'observe-orders',
  },
  {
    name: 'a step at the lost site',
    kind: 'failover',
    mode: 'ungraceful',
    edit: change(is('verify-orders'), () => ({ site: 'hangzhou' })),
    rule: 'source-not-needed',
    step: 'verify-orders',
  },
  {
    name: 'a planned step left on the unplanned path',
    kind: 'failover',
    edit: change(is('observe-orders-lag'), () => ({ modes: ['graceful', 'ungraceful'] })),
    rule: 'source-not-needed',
    step: 'observe-orders-lag',
  },
  {
    name: 'a path longer than the RTO',
    kind: 'failover',
    edit: change(is('promote-orders'), () => ({ estimateMs: 30_000 })),
    rule: 'fits-rto',
    step: 'verify-entry',
  },
  {
    name: 'a step after nothing',
    kind: 'failover',
    edit: change(is('commit'), () => ({ after: ['verify-entri'] })),
    rule: 'after-known',
    step: 'commit',
  },
  {
    name: 'a circle',
    kind: 'failover',
    edit: change(is('check-orders'), () => ({ after: ['commit'] })),
    rule: 'after-acyclic',
    step: 'check-orders',
  },
  {
    name: 'an id that stands twice',
    kind: 'failover',
    edit: change(is('check-entry'), () => ({ id: 'check-orders' })),
    rule: 'id-unique',
    step: 'check-orders',
  },
  {
    name: 'a verb the driver does not have',
    kind: 'failover',
    edit: change(is('check-entry'), () => ({ verb: 'promote' })),
    rule: 'verb-known',
    step: 'check-entry',
  },
  {
    name: 'a change that says it only looks',
    kind: 'failover',
    edit: change(is('route-entry'), () => ({ effect: 'read' })),
    rule: 'effect-honest',
    step: 'route-entry',
  },
  {
    name: 'an undo the driver does not have',
    kind: 'failover',
    edit: change(is('fence-orders'), () => ({ undo: { verb: 'scale', args: {} } })),
    rule: 'undo-known',
    step: 'fence-orders',
  },
  { name: 'no steps', kind: 'failover', edit: () => [], rule: 'not-empty', step: null },
  {
    name: 'a rejoin before the rows are saved',
    kind: 'reprotect',
    edit: without(is('backup-orders')),
    rule: 'export-before-rejoin',
    step: 'rejoin-orders',
  },
  {
    name: 'a rejoin of an open database',
    kind: 'reprotect',
    edit: without(is('fence-orders')),
    rule: 'export-before-rejoin',
    step: 'rejoin-orders',
  },
  {
    name: 'a returning writer that an abort would open',
    kind: 'reprotect',
    edit: change(is('fence-orders'), () => ({ undo: { verb: 'unfence', args: {} } })),
    rule: 'returning-stays-closed',
    step: 'fence-orders',
  },
  {
    name: 'a drill that leaves its copy',
    kind: 'drill',
    edit: without(is('restore-orders-remove')),
    rule: 'drill-cleans-up',
    step: 'restore-orders',
  },
  {
    name: 'a drill that proves nothing',
    kind: 'drill',
    edit: without(is('verify-orders')),
    rule: 'drill-proves',
    step: 'restore-orders',
  },
  {
    name: 'a drill that restores nothing',
    kind: 'drill',
    edit: without((s) => s.verb !== 'check'),
    rule: 'drill-proves',
    step: null,
  },
];

for (const { name, kind, mode, edit, rule, step } of cases)
  test(`${name} breaks ${rule}`, () => {
    const findings = lint(edited(planOf(kind, mode), edit), catalogue);
    const found = findings.filter((finding) => finding.severity === 'error' && finding.rule === rule);
    assert.ok(
      found.some((finding) => finding.stepId === step && finding.message !== '' && finding.fix !== ''),
      JSON.stringify(findings),
    );
  });

test('docs/runbooks.md lists every rule that is tested here, and no other', () => {
  const page = readFileSync(path.join(import.meta.dirname, '..', '..', 'docs', 'runbooks.md'), 'utf8');
  const table = page.split('## What is proven')[1]?.split('\n## ')[0] ?? '';
  const listed = [...table.matchAll(/^\| `([a-z-]+)` +\|/gm)].map((match) => match[1] ?? '');
  assert.deepEqual(listed.sort(), [...new Set([...cases.map(({ rule }) => rule), 'estimate-fits-budget'])].sort());
});

test('a finding that only one mode has says so', () => {
  const edit = change(is('fence-orders'), () => ({ modes: ['graceful'] }));
  const [finding] = lint(edited(planOf('failover'), edit), catalogue);
  assert.match(finding?.message ?? '', /, when ungraceful$/);
});

test('a step that is expected to outlast its budget is a warning, and no reason to refuse', () => {
  const edit = change(is('check-orders'), () => ({ withinMs: 100 }));
  const findings = lint(edited(planOf('failover'), edit), catalogue);
  assert.deepEqual(
    findings.map(({ rule, stepId, severity }) => [rule, stepId, severity]),
    [['estimate-fits-budget', 'check-orders', 'warning']],
  );
});

test('a stateful driver that cannot fence is never promoted', () => {
  const postgres = catalogue['postgres'];
  assert.ok(postgres !== undefined);
  const { fence: _, ...rest } = postgres.verbs;
  const careless = { ...catalogue, postgres: { ...postgres, verbs: rest } };
  const estate = parseEstate(estateText({}), 'muster.yaml', careless);
  const act = (): unknown =>
    compile({ estate, service: 'shop', kind: 'failover', mode: 'graceful', epoch: 2, catalogue: careless });
  assert.throws(act, { code: 'PLAN_UNSAFE', message: /^promote-orders: .*\(rule fence-before-promote\)\. Fix: / });
});

test('a second database may not still be written when the first is promoted', () => {
  const resources = {
    orders: { driver: 'postgres', hangzhou: { url: 'env:A' }, beijing: { url: 'env:B' } },
    stock: { driver: 'postgres', hangzhou: { url: 'env:C' }, beijing: { url: 'env:D' } },
  };
  const estate = parseEstate(estateText({ resources }), 'muster.yaml', catalogue);
  const text = [
    'kind: failover\nservice: shop\nsteps:',
    ...['fence: orders', 'observe: orders', 'promote: orders', 'fence: stock', 'observe: stock', 'promote: stock'],
    'parallel: [{ verify: orders }, { verify: stock }]',
    'gate: Commit?\n    id: commit',
  ].join('\n  - ');
  const runbook = parseRunbook(text, 'one-by-one.yaml', estate, catalogue);
  const act = (): unknown =>
    compile({ estate, service: 'shop', kind: 'failover', mode: 'ungraceful', epoch: 2, runbook, catalogue });
  assert.throws(act, {
    code: 'PLAN_UNSAFE',
    message:
      /^one-by-one\.yaml:6: promote-orders: orders is promoted while stock may still be written \(rule frozen-before-promote\)/,
  });
});
