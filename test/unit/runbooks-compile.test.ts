import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compile, compileLiveDrill, type CompileInput } from '../../runbooks/compile.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import { verifyPlanHash } from '../../runbooks/hash.ts';
import { lint } from '../../runbooks/lint.ts';
import { parseRunbook } from '../../runbooks/runbook.ts';
import { advance, newRun } from '../../workflows/engine/advance.ts';
import type { MusterError } from '../../workflows/engine/errors.ts';
import type { Mode, Plan, RunKind } from '../../workflows/engine/plan.ts';
import type { RunEvent } from '../../workflows/engine/run.ts';
import { testCatalogue as catalogue } from '../support/catalogue.ts';
import { anyEstate, estateText, readRunbooksFile, shopEstate } from '../support/estates.ts';

const base = { estate: shopEstate(), service: 'shop', epoch: 7, catalogue };

/** One line a step: `id @site [modes] <- after`, and what is special about it. */
function outline(plan: Plan): string[] {
  return plan.steps.map((step) => {
    const marks = [
      step.modes.length === 2 ? '' : `only ${step.modes.join()}`,
      step.clock ?? '',
      step.judge === null ? '' : `judge ${step.judge}`,
      step.undo === null ? '' : `undo ${step.undo.verb}`,
      step.effect === 'irreversible' ? 'irreversible' : '',
      step.always ? 'always' : '',
      Object.keys(step.args).length === 0 ? '' : JSON.stringify(step.args),
    ].filter((mark) => mark !== '');
    return [`${step.id} @${step.site ?? 'control'} <- ${step.after.join(' ') || '-'}`, ...marks].join('; ');
  });
}

const moveStart = ['check-orders @control <- -; judge rpo', 'check-entry @control <- -'];
const moveEnd = (to: string): string[] => [
  `observe-orders @${to} <- fence-orders; judge rpo; {"freeze":true}`,
  `promote-orders @${to} <- observe-orders; promoted; irreversible`,
  'route-entry @control <- promote-orders; routed',
  `verify-orders @${to} <- route-entry`,
  'verify-entry @control <- route-entry; verified',
];
const reversal = (from: string, to: string): string[] => [
  `rejoin-orders @${from} <- commit; only graceful; irreversible; {"site":"${from}","upstream":"${to}"}`,
  `replicate-orders @${to} <- rejoin-orders; only graceful; protected; {"standby":"${from}"}`,
];
const plannedStart = [
  ...moveStart,
  'observe-orders-lag @control <- check-orders check-entry; only graceful; judge rpo; {"prepare":true}',
  'quiesce-entry @control <- check-orders check-entry observe-orders-lag; undo unfence',
  'fence-orders @control <- quiesce-entry; fenced; undo unfence',
];

const generated: { name: string; kind: RunKind; mode: Mode; from: string; to: string; want: string[] }[] = [
  {
    name: 'an unplanned failover checks, holds the entry, fences, freezes the loss, promotes, routes, verifies, commits',
    kind: 'failover',
    mode: 'ungraceful',
    from: 'hangzhou',
    to: 'beijing',
    want: [
      ...moveStart,
      'quiesce-entry @control <- check-orders check-entry; undo unfence',
      'fence-orders @control <- quiesce-entry; fenced; undo unfence',
      ...moveEnd('beijing'),
      'commit @control <- verify-orders verify-entry; committed',
    ],
  },
  {
    name: 'a planned failover looks at the lag first, and ends with the replication the other way',
    kind: 'failover',
    mode: 'graceful',
    from: 'hangzhou',
    to: 'beijing',
    want: [
      ...plannedStart,
      ...moveEnd('beijing'),
      'commit @control <- verify-orders verify-entry; committed',
      ...reversal('hangzhou', 'beijing'),
    ],
  },
  {
    name: 'a failback is a planned failover home, and its commit is the failed-back clock',
    kind: 'failback',
    mode: 'graceful',
    from: 'beijing',
    to: 'hangzhou',
    want: [
      ...plannedStart,
      ...moveEnd('hangzhou'),
      'commit @control <- verify-orders verify-entry; failed-back',
      ...reversal('beijing', 'hangzhou'),
    ],
  },
  {
    name: 'a reprotect closes the returning site for good, saves its rows, rejoins it and waits for replication',
    kind: 'reprotect',
    mode: 'graceful',
    from: 'beijing',
    to: 'hangzhou',
    want: [
      'check-orders @control <- -',
      'fence-orders @control <- check-orders; {"returning":true}',
      'backup-orders @hangzhou <- fence-orders; {"diverged":true,"site":"hangzhou","upstream":"beijing"}',
      'rejoin-orders @hangzhou <- backup-orders; irreversible; {"site":"hangzhou","upstream":"beijing"}',
      'replicate-orders @beijing <- rejoin-orders; protected; {"standby":"hangzhou"}',
    ],
  },
  {
    name: 'an isolated drill restores a scratch copy, verifies it, and removes it whatever happened',
    kind: 'drill',
    mode: 'graceful',
    from: 'hangzhou',
    to: 'beijing',
    want: [
      'check-orders @control <- -',
      'restore-orders @beijing <- check-orders',
      'verify-orders @beijing <- restore-orders; {"scratch":true}',
      'restore-orders-remove @beijing <- verify-orders; always; {"remove":true}',
    ],
  },
];

for (const { name, kind, mode, from, to, want } of generated)
  test(name, () => {
    const plan = compile({ ...base, kind, mode });
    assert.deepEqual(outline(plan), want);
    assert.deepEqual([plan.from, plan.to, plan.mode, plan.epoch, plan.drill], [from, to, mode, 7, kind === 'drill']);
  });

test('a live drill is a planned failover and a planned failback with the next epoch', () => {
  const [there, back] = compileLiveDrill(base);
  assert.deepEqual(
    [there.kind, there.from, there.to, there.epoch, there.drill],
    ['failover', 'hangzhou', 'beijing', 7, true],
  );
  assert.deepEqual(
    [back.kind, back.from, back.to, back.epoch, back.drill],
    ['failback', 'beijing', 'hangzhou', 8, true],
  );
});

test('budgets come from the driver; checks from control are short, a fence outlasts the lease twice, half stays for reading back', () => {
  const estate = parseEstate(estateText({ policy: { leaseSeconds: 20 } }), 'muster.yaml', catalogue);
  const plan = compile({ ...base, estate, kind: 'failover', mode: 'ungraceful' });
  const budgets = plan.steps.map((step) => [step.id, step.withinMs, step.attemptMs]);
  assert.deepEqual(budgets.slice(0, 4), [
    ['check-orders', 5_000, 2_500],
    ['fence-orders', 50_000, 40_000],
    ['observe-orders', 10_000, 5_000],
    ['promote-orders', 60_000, 50_000],
  ]);
  assert.equal(plan.leaseMs, 20_000);
});

test('gates: the loss is asked for once unless accepted beforehand, a doubtful fence needs two people, the policy may commit', () => {
  const service = { approvers: { rpo: ['dba'], fence: ['cto', 'dba'], commit: ['owner'] }, policy: { commit: 'ask' } };
  const estate = parseEstate(estateText(service), 'muster.yaml', catalogue);
  const plan = compile({ ...base, estate, kind: 'failover', mode: 'ungraceful', preApprovedBy: 'li' });
  const gates = plan.steps.flatMap(({ id, gate }) =>
    gate === null ? [] : [[id, gate.approvals, gate.approvers.join(), gate.preApprovedBy]],
  );
  assert.deepEqual(gates, [
    ['check-orders', 1, 'dba', 'li'],
    ['fence-orders', 2, 'cto,dba', null],
    ['observe-orders', 1, 'dba', 'li'],
    ['commit', 1, 'owner', null],
  ]);
  const automatic = compile({ ...base, kind: 'failover', mode: 'ungraceful' });
  assert.equal(automatic.steps.find((step) => step.id === 'commit')?.gate?.preApprovedBy, 'policy');
});

test('resources move in the order of their dependencies, side by side where there are none', () => {
  const site = (key: string): object => ({ hangzhou: { [key]: 'env:A' }, beijing: { [key]: 'env:B' } });
  const resources = {
    front: { driver: 'proxy', after: ['api'], ...site('upstream') },
    api: { driver: 'app', after: ['orders', 'stock'], ...site('replicas') },
    stock: { driver: 'postgres', after: ['orders'], ...site('url') },
    orders: { driver: 'postgres', ...site('url') },
  };
  const estate = parseEstate(estateText({ resources }), 'muster.yaml', catalogue);
  const plan = compile({ ...base, estate, kind: 'failover', mode: 'ungraceful' });
  const after = Object.fromEntries(plan.steps.map((step) => [step.id, step.after]));
  assert.deepEqual(after['fence-stock'], ['quiesce-front']);
  assert.deepEqual(after['promote-orders'], ['observe-orders', 'observe-stock']);
  assert.deepEqual(after['promote-stock'], ['observe-orders', 'observe-stock', 'promote-orders']);
  assert.deepEqual(after['scale-api'], ['promote-stock']);
  assert.deepEqual(after['route-front'], ['scale-api']);
});

const refused: { name: string; input: Partial<CompileInput>; code: string; says: RegExp }[] = [
  {
    name: 'a service that is not there',
    input: { service: 'shp' },
    code: 'SERVICE_UNKNOWN',
    says: /"shp"; known: shop$/,
  },
  {
    name: 'a service named like a method',
    input: { service: 'toString' },
    code: 'SERVICE_UNKNOWN',
    says: /known: shop$/,
  },
  { name: 'a site that is not there', input: { to: 'bejing' }, code: 'SITE_UNKNOWN', says: /did you mean "beijing"/ },
  {
    name: 'the site that holds the writer',
    input: { from: 'beijing', to: 'beijing' },
    code: 'ALREADY_PRIMARY',
    says: /beijing/,
  },
];
for (const { name, input, code, says } of refused)
  test(`${name} is refused as target`, () => {
    const act = (): unknown => compile({ ...base, kind: 'failover', mode: 'ungraceful', ...input });
    assert.throws(act, (error: MusterError) => error.code === code && says.test(error.message));
  });

test('closing a door that no writer stands behind needs no lease to run out and nobody to take a risk', () => {
  const proxy = catalogue['proxy'];
  const fence = proxy?.verbs.quiesce;
  assert.ok(proxy !== undefined && fence !== undefined);
  const closing = { ...catalogue, proxy: { ...proxy, verbs: { ...proxy.verbs, fence } } };
  const steps = [
    'fence: entry',
    'fence: orders',
    'observe: orders',
    'promote: orders',
    'route: entry',
    'verify: entry',
  ];
  const text = `kind: failover\nservice: shop\nsteps:\n  - ${steps.join('\n  - ')}\n  - { gate: Commit?, id: commit }\n`;
  const runbook = parseRunbook(text, 'close.yaml', base.estate, closing);
  const plan = compile({ ...base, kind: 'failover', mode: 'ungraceful', runbook, catalogue: closing });
  const fences = plan.steps.filter((step) => step.verb === 'fence');
  assert.deepEqual(
    fences.map(({ id, withinMs, gate }) => [id, withinMs, gate?.approvals]),
    [
      ['fence-entry', 10_000, undefined],
      ['fence-orders', 30_000, 2],
    ],
  );
});

test('a runbook of another kind is refused', () => {
  const text = readRunbooksFile('library/failover-shop.yaml');
  const runbook = parseRunbook(text, 'failover-shop.yaml', base.estate, catalogue);
  const act = (): unknown => compile({ ...base, kind: 'failback', mode: 'graceful', runbook });
  assert.throws(act, {
    code: 'RUNBOOK_INVALID',
    message: /failover-shop\.yaml: is a runbook for failover, not for failback/,
  });
});

test('an RTO shorter than the critical path is refused with both figures', () => {
  const text = estateText({
    objectives: { rpoSeconds: 5, rtoSeconds: 2.4 },
    policy: { leaseSeconds: 1, holdSeconds: 0, probeSeconds: 1 },
  });
  const estate = parseEstate(text, 'muster.yaml', catalogue);
  const act = (): unknown => compile({ ...base, estate, kind: 'failover', mode: 'ungraceful' });
  assert.throws(act, {
    code: 'PLAN_UNSAFE',
    message: /critical path takes 2\.5 s .*the RTO is 2\.4 s \(rule fits-rto\)/,
  });
});

test('the hand-written runbook of the library compiles to what it says, in both modes', () => {
  const text = readRunbooksFile('library/failover-shop.yaml');
  const runbook = parseRunbook(text, 'failover-shop.yaml', base.estate, catalogue);
  const planned = compile({ ...base, kind: 'failover', mode: 'graceful', runbook });
  assert.deepEqual(outline(planned), [
    ...moveStart,
    'lag-of-orders @control <- check-orders check-entry; only graceful; judge rpo; {"prepare":true}',
    'shop-told @control <- check-orders check-entry lag-of-orders; only graceful',
    'quiesce-entry @control <- check-orders check-entry shop-told; undo unfence',
    'fence-orders @control <- quiesce-entry; only graceful; fenced; undo unfence',
    'fence-orders-ungraceful @control <- quiesce-entry; only ungraceful; fenced; undo unfence',
    'observe-orders @beijing <- fence-orders fence-orders-ungraceful; judge rpo; {"freeze":true}',
    ...moveEnd('beijing').slice(1),
    'commit @control <- verify-orders verify-entry; committed',
    ...reversal('hangzhou', 'beijing').map((line) => line.replace('<- rejoin', '<- commit rejoin')),
    'notify-1 @control <- commit replicate-orders; only graceful; {"text":"shop runs at its new site and is protected again"}',
  ]);
  const unplanned = compile({ ...base, kind: 'failover', mode: 'ungraceful', runbook });
  assert.ok(unplanned.steps.every((step) => step.modes.includes('ungraceful')));
  assert.equal(unplanned.steps.find((step) => step.id === 'fence-orders-ungraceful')?.withinMs, 40_000);
});

test('explicit `after` loosens the order of one step, and what follows still waits for everything above', () => {
  const text = [
    'kind: reprotect\nservice: shop\nsteps:',
    '  - check: orders\n  - fence: orders\n  - backup: orders\n  - wait: 1.5s\n    after: [check-orders]\n  - rejoin: orders\n  - replicate: orders',
  ].join('\n');
  const runbook = parseRunbook(text, 'reprotect.yaml', base.estate, catalogue);
  const plan = compile({ ...base, kind: 'reprotect', mode: 'graceful', runbook });
  const after = Object.fromEntries(plan.steps.map((step) => [step.id, step.after]));
  assert.deepEqual(after['wait-1'], ['check-orders']);
  assert.deepEqual(after['rejoin-orders'], ['backup-orders', 'wait-1']);
  assert.deepEqual(plan.steps.find((step) => step.id === 'wait-1')?.args, { seconds: 1.5 });
});

test('a plan is frozen to its last leaf, and so the same for everybody', () => {
  const plan = compile({ ...base, kind: 'failover', mode: 'ungraceful' });
  const thaw = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && (!Object.isFrozen(value) || Object.values(value).some(thaw));
  assert.equal(thaw(plan), false);
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
});

const anyRun = fc.record({
  estate: anyEstate(),
  kind: fc.constantFrom<RunKind>('failover', 'failback', 'reprotect', 'drill'),
  mode: fc.constantFrom<Mode>('graceful', 'ungraceful'),
  epoch: fc.integer({ min: 1, max: 1_000_000 }),
});

test('whatever the estate, the generated plan is without a finding and compiles to the same hash again', () => {
  fc.assert(
    fc.property(anyRun, (run) => {
      const plan = compile({ ...run, service: 'shop', catalogue });
      assert.deepEqual(lint(plan, catalogue), []);
      assert.equal(compile({ ...run, service: 'shop', catalogue }).hash, plan.hash);
      verifyPlanHash(plan);
    }),
    { numRuns: 60 },
  );
});

test('whatever the estate, the engine runs the plan to its end, and fences and freezes all before it promotes one', () => {
  fc.assert(
    fc.property(anyRun, (run) => {
      const plan = compile({ ...run, service: 'shop', catalogue });
      const { order, outcome } = runToEnd(plan);
      const firstPromote = order.findIndex((id) => id.startsWith('promote-'));
      const before = order.slice(0, Math.max(firstPromote, 0));
      if (firstPromote >= 0)
        for (const step of plan.steps)
          if (step.verb === 'fence' || step.args['freeze'] === true) assert.ok(before.includes(step.id), step.id);
      const moved = { graceful: 'protected', ungraceful: 'unprotected' } as const;
      const want = run.kind === 'drill' ? 'completed' : run.kind === 'reprotect' ? 'protected' : moved[run.mode];
      assert.equal(outcome, want);
    }),
    { numRuns: 50 },
  );
});

/** A world in which everything works at once and nothing is lost. People agree. */
function runToEnd(plan: Plan): { order: string[]; outcome: string | null } {
  const order: string[] = [];
  const events: RunEvent[] = [{ kind: 'started', atMs: 0 }];
  let run = newRun('run', plan);
  for (let event = events.shift(); event !== undefined; event = events.shift()) {
    const turn = advance(run, event);
    run = turn.run;
    for (const command of turn.commands) {
      const atMs = event.atMs + 1;
      if (command.kind === 'ask')
        events.push({ kind: 'answer', stepId: command.stepId, answer: 'approve', by: 'li', why: 'test', atMs });
      if (command.kind !== 'perform') continue;
      order.push(command.stepId);
      const { resource } = command;
      const rpo = {
        name: 'rpoSeconds',
        resource,
        value: 0,
        unit: 's',
        method: 'canary',
        confidence: 'measured',
      } as const;
      events.push({ kind: 'step-done', stepId: command.stepId, result: { evidence: {}, measurements: [rpo] }, atMs });
    }
  }
  return { order, outcome: run.outcome };
}
