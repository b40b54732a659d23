import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compile } from '../../runbooks/compile.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import { lint } from '../../runbooks/lint.ts';
import { parseRunbook } from '../../runbooks/runbook.ts';
import type { Mode, Plan, PlanStep, RunKind } from '../../workflows/engine/plan.ts';
import { testCatalogue as catalogue } from '../support/catalogue.ts';
import { anyEstate, estateText, shopEstate } from '../support/estates.ts';

function planOf(kind: RunKind, mode: Mode = 'graceful'): Plan {
  return compile({ estate: shopEstate(), service: 'shop', kind, mode, epoch: 2, catalogue });
}

type Edit = (steps: PlanStep[]) => PlanStep[];

/** Takes steps out; what came after them comes after what they came after, so that only the step itself is missing. */
const without =
  (drop: (step: PlanStep) => boolean): Edit =>
  (steps) => {
    const gone = new Map(steps.filter(drop).map((step) => [step.id, step.after]));
    const bridge = (id: string): string[] => gone.get(id)?.flatMap(bridge) ?? [id];
    return steps.filter((s) => !gone.has(s.id)).map((s) => ({ ...s, after: [...new Set(s.after.flatMap(bridge))] }));
  };

const change =
  (pick: (step: PlanStep) => boolean, edit: (step: PlanStep) => Partial<PlanStep>): Edit =>
  (steps) =>
    steps.map((step) => (pick(step) ? { ...step, ...edit(step) } : step));

const is = (id: string) => (step: PlanStep) => step.id === id;

/** Lets a step start as early as another one does. */
const earlyAs =
  (id: string, other: string): Edit =>
  (steps) =>
    change(is(id), () => ({ after: steps.find(is(other))?.after ?? [] }))(steps);

const edited = (plan: Plan, edit: Edit): Plan => ({ ...plan, steps: edit(structuredClone(plan.steps)) });

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

/** What keeps a move safe, as mutations of any generated plan. Each takes the step it is aimed at from the list by number. */
const attacks: { name: string; aim: (step: PlanStep) => boolean; hit: (target: PlanStep) => Edit }[] = [
  { name: 'fence deleted', aim: (s) => s.verb === 'fence', hit: (t) => without(is(t.id)) },
  { name: 'freeze deleted', aim: (s) => s.args['freeze'] === true, hit: (t) => without(is(t.id)) },
  { name: 'promotion deleted', aim: (s) => s.verb === 'promote', hit: (t) => without(is(t.id)) },
  { name: 'all proofs deleted', aim: (s) => s.clock === 'verified', hit: () => without((s) => s.clock === 'verified') },
  { name: 'commit deleted', aim: (s) => s.id === 'commit', hit: (t) => without(is(t.id)) },
  {
    name: 'promotion moved to the start',
    aim: (s) => s.verb === 'promote',
    hit: (t) => change(is(t.id), () => ({ after: [] })),
  },
  {
    name: 'route moved to the start',
    aim: (s) => s.verb === 'route',
    hit: (t) => change(is(t.id), () => ({ after: [] })),
  },
  {
    name: 'commit moved to the start',
    aim: (s) => s.id === 'commit',
    hit: (t) => change(is(t.id), () => ({ after: [] })),
  },
  {
    name: 'freeze moved to the start',
    aim: (s) => s.args['freeze'] === true,
    hit: (t) => change(is(t.id), () => ({ after: [] })),
  },
  {
    name: 'fence made optional',
    aim: (s) => s.verb === 'fence',
    hit: (t) => change(is(t.id), () => ({ critical: false })),
  },
  {
    name: 'fence left out of the unplanned path',
    aim: (s) => s.verb === 'fence',
    hit: (t) => change(is(t.id), () => ({ modes: ['graceful'] })),
  },
  {
    name: 'undo of a hold or fence deleted',
    aim: (s) => s.undo !== null,
    hit: (t) => change(is(t.id), () => ({ undo: null })),
  },
  {
    name: 'promotion repeated',
    aim: (s) => s.verb === 'promote',
    hit: (t) => (steps) => [...steps, { ...t, id: 'again', after: [t.id] }],
  },
  {
    name: 'source needed on the way',
    aim: (s) => s.verb !== 'approve' && s.modes.includes('ungraceful') && s.clock !== 'protected',
    hit: (t) => change(is(t.id), () => ({ needs: ['source'] })),
  },
  {
    name: 'order swapped with a later safety step',
    aim: (s) => s.verb === 'promote',
    hit: (t) => (steps) =>
      steps.map((s) =>
        s.verb === 'fence' && s.resource === t.resource
          ? { ...s, after: [t.id] }
          : s.id === t.id
            ? { ...s, after: [] }
            : s,
      ),
  },
];

test('whatever the estate, a move with one safety step deleted or reordered is found', () => {
  const hits = new Set<string>();
  fc.assert(
    fc.property(
      fc.record({
        estate: anyEstate(),
        kind: fc.constantFrom<RunKind>('failover', 'failback'),
        mode: fc.constantFrom<Mode>('graceful', 'ungraceful'),
        attack: fc.constantFrom(...attacks),
        choice: fc.nat(),
      }),
      ({ estate, kind, mode, attack: { name, aim, hit }, choice }) => {
        const plan = compile({ estate, service: 'shop', kind, mode, epoch: 2, catalogue });
        const targets = plan.steps.filter(aim);
        const target = targets[choice % targets.length];
        fc.pre(target !== undefined);
        hits.add(name);
        const errors = lint(edited(plan, hit(target)), catalogue).filter((finding) => finding.severity === 'error');
        assert.ok(errors.length > 0, `${name} at ${target.id}`);
      },
    ),
    { numRuns: 150 },
  );
  assert.ok(hits.size > attacks.length / 2);
});
