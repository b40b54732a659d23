import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRun } from '../../workflows/engine/advance.ts';
import { tokenOf } from '../../workflows/engine/token.ts';
import type { Gate } from '../../workflows/engine/plan.ts';
import type { Command } from '../../workflows/engine/run.ts';
import { confirmed, driven, fails, loss, lost, ok } from '../support/drive.ts';
import { inOrder, planOf, step } from '../support/plan.ts';

const change = { effect: 'change' } as const;
const irreversible = { effect: 'irreversible' } as const;
const undo = { verb: 'unfence', args: {} } as const;
const gate: Gate = { question: 'accept?', approvals: 1, approvers: [], preApprovedBy: null };

const isPerform = (c: Command): c is Extract<Command, { token: string }> => c.kind === 'perform';

/** check → quiesce (undo) → fence (undo) → promote → route, as a failover is. */
function failoverPlan(more: Parameters<typeof planOf>[1] = {}) {
  const steps = [
    step('check-orders', { onFailure: 'abort' }),
    step('quiesce-entry', { ...change, undo }),
    step('fence-orders', { ...change, undo, clock: 'fenced', gate: { ...gate, approvals: 2 } }),
    step('promote-orders', { ...irreversible, clock: 'promoted', onFailure: 'retry' }),
    step('route-entry', { ...change, clock: 'routed' }),
  ];
  return planOf(inOrder(steps), more);
}

test('steps run in the order of their dependencies, and the run ends unprotected once promoted', () => {
  const d = driven(failoverPlan());
  d.take({ kind: 'started' });
  const seen = [...d.orders()];
  for (const id of ['check-orders', 'quiesce-entry', 'fence-orders', 'promote-orders', 'route-entry']) {
    d.take(ok(id));
    seen.push(...d.orders());
  }
  assert.deepEqual(seen, [
    'perform check check-orders',
    'perform quiesce quiesce-entry',
    'perform fence fence-orders',
    'perform promote promote-orders',
    'perform route route-entry',
    'finish unprotected',
  ]);
  assert.deepEqual(d.run.clocks, { started: 10, fenced: 40, promoted: 50, routed: 60 });
});

test('steps without an order between them start together', () => {
  const d = driven(
    planOf([
      step('check-orders'),
      step('check-entry'),
      step('verify-orders', { after: ['check-orders', 'check-entry'] }),
    ]),
  );
  d.take({ kind: 'started' });
  assert.deepEqual(d.orders(), ['perform check check-orders', 'perform check check-entry']);
  d.take(ok('check-entry'));
  assert.deepEqual(d.orders(), []);
  d.take(ok('check-orders'));
  assert.deepEqual(d.orders(), ['perform verify verify-orders']);
});

test('a changing step with an unknown outcome is read back, never blindly performed again', () => {
  const d = driven(planOf([step('fence-orders', change)]));
  d.take({ kind: 'started' });
  d.take(lost('fence-orders'));
  assert.deepEqual(d.orders(), ['confirm fence fence-orders']);
  d.take(confirmed('fence-orders', 'unknown'));
  assert.deepEqual(d.orders(), ['timer step:fence-orders']);
  d.take({ kind: 'timer', timerId: 'step:fence-orders' });
  assert.deepEqual(d.orders(), ['confirm fence fence-orders']);
  d.take(confirmed('fence-orders', 'done'));
  assert.deepEqual(d.orders(), ['finish completed']);
});

test('a lost step that certainly did not happen is performed again under the same token', () => {
  const d = driven(planOf([step('fence-orders', change)]));
  const first = d.take({ kind: 'started' }).find(isPerform);
  d.take(lost('fence-orders'));
  const again = d.take(confirmed('fence-orders', 'not-yet')).find(isPerform);
  assert.equal(again?.token, first?.token);
  assert.equal(again?.attempt, 2);
});

test('a lost step that may not be repeated is only read back until its deadline, then fails', () => {
  const d = driven(
    planOf([step('fence-orders', { ...change, repeatable: false, withinMs: 100 })], { mode: 'graceful' }),
  );
  d.take({ kind: 'started' });
  d.take(lost('fence-orders'));
  d.take(confirmed('fence-orders', 'not-yet'));
  assert.deepEqual(d.orders(), ['timer step:fence-orders']);
  d.take({ kind: 'timer', timerId: 'step:fence-orders' });
  d.take(confirmed('fence-orders', 'not-yet'), 200);
  assert.equal(d.run.status, 'paused');
  assert.equal(d.run.steps['fence-orders']?.failure?.code, 'STEP_TIMEOUT');
});

test('an accepted order that is on its way is waited for, not repeated', () => {
  const d = driven(planOf([step('promote-orders', irreversible)]));
  d.take({ kind: 'started' });
  d.take({ kind: 'step-not-yet', stepId: 'promote-orders', why: 'replaying' });
  assert.deepEqual(d.orders(), ['timer step:promote-orders']);
  d.take({ kind: 'timer', timerId: 'step:promote-orders' });
  d.take(confirmed('promote-orders', 'not-yet'));
  assert.deepEqual(d.orders(), ['timer step:promote-orders']);
});

test('a retryable failure is tried again with growing waits until the deadline', () => {
  const d = driven(planOf([step('check-orders', { withinMs: 500, onFailure: 'abort' })]));
  d.take({ kind: 'started' });
  const waits: number[] = [];
  for (let i = 0; i < 10 && d.run.status !== 'finished'; i++) {
    const timer = d.take(fails('check-orders', true)).find((c) => c.kind === 'set-timer');
    if (timer === undefined) break;
    waits.push(timer.afterMs);
    d.take({ kind: 'timer', timerId: timer.timerId }, timer.afterMs);
  }
  assert.deepEqual(waits, [100, 200]);
  assert.equal(d.run.outcome, 'failed');
});

test('a failed check ends the run with nothing changed and nothing to undo', () => {
  const d = driven(failoverPlan());
  d.take({ kind: 'started' });
  d.take(fails('check-orders'));
  assert.deepEqual(d.orders(), ['finish failed']);
  assert.match(d.run.reason ?? '', /check-orders/);
});

test('an abort before the promotion undoes what was done, newest first', () => {
  const d = driven(failoverPlan());
  d.take({ kind: 'started' });
  d.take(ok('check-orders'));
  d.take(ok('quiesce-entry'));
  d.take({ kind: 'operator', op: 'abort', by: 'ana', why: 'false alarm' });
  assert.deepEqual(d.orders(), [], 'the fence that is out settles first');
  d.take(ok('fence-orders'));
  assert.deepEqual(d.orders(), ['perform unfence fence-orders']);
  d.take(ok('fence-orders'));
  assert.deepEqual(d.orders(), ['perform unfence quiesce-entry']);
  d.take(ok('quiesce-entry'));
  assert.deepEqual(d.orders(), ['finish aborted']);
});

test('after the promotion was ordered nothing is undone: an abort is refused', () => {
  const d = driven(failoverPlan());
  d.take({ kind: 'started' });
  for (const id of ['check-orders', 'quiesce-entry', 'fence-orders']) d.take(ok(id));
  d.take({ kind: 'operator', op: 'abort', by: 'ana', why: 'changed my mind' });
  assert.deepEqual(d.orders(), []);
  assert.ok(d.commands.some((c) => c.kind === 'record' && c.what === 'operator-refused'));
  assert.equal(d.run.status, 'running');
});

test('an undo that fails is repeated, then named', () => {
  const d = driven(failoverPlan());
  d.take({ kind: 'started' });
  d.take(ok('check-orders'));
  d.take({ kind: 'operator', op: 'abort', by: 'ana', why: 'false alarm' });
  d.take(ok('quiesce-entry'));
  for (let i = 0; i < 5; i++) d.take(fails('quiesce-entry'));
  assert.equal(d.run.outcome, 'aborted');
  assert.equal(d.run.steps['quiesce-entry']?.status, 'undo-failed');
  assert.ok(d.commands.some((c) => c.kind === 'notify' && c.text.includes('quiesce-entry')));
});

const judged = [
  { name: 'a loss inside the RPO passes', seconds: 4.9, asks: false },
  { name: 'a loss over the RPO asks a person', seconds: 5.1, asks: true },
  { name: 'an unknown loss never passes', seconds: null, asks: true },
];
for (const { name, seconds, asks } of judged) {
  test(`judge: ${name}`, () => {
    const d = driven(planOf([step('observe-orders', { judge: 'rpo', gate })]));
    d.take({ kind: 'started' });
    d.take(loss('observe-orders', seconds));
    assert.deepEqual(d.orders(), asks ? ['ask observe-orders'] : ['finish completed']);
  });
}

test('accepting the loss by name lets the run go on; the time spent waiting is kept apart', () => {
  const d = driven(planOf([step('observe-orders', { judge: 'rpo', gate })]));
  d.take({ kind: 'started' });
  d.take(loss('observe-orders', 60));
  d.take({ kind: 'answer', stepId: 'observe-orders', answer: 'approve', by: 'ana', why: 'business accepts' }, 5_000);
  assert.deepEqual(d.orders(), ['finish completed']);
  assert.equal(d.run.waitedForPeopleMs, 5_000);
});

test('declining the loss takes everything back', () => {
  const steps = [step('quiesce-entry', { ...change, undo }), step('observe-orders', { judge: 'rpo', gate })];
  const d = driven(planOf(inOrder(steps)));
  d.take({ kind: 'started' });
  d.take(ok('quiesce-entry'));
  d.take(loss('observe-orders', null));
  d.take({ kind: 'answer', stepId: 'observe-orders', answer: 'decline', by: 'ana', why: 'too much' });
  assert.deepEqual(d.orders(), ['perform unfence quiesce-entry']);
  d.take(ok('quiesce-entry'));
  assert.equal(d.run.outcome, 'aborted');
});

test('a fence that cannot be confirmed needs two different people, by name', () => {
  const d = driven(failoverPlan());
  d.take({ kind: 'started' });
  d.take(ok('check-orders'));
  d.take(ok('quiesce-entry'));
  d.take(fails('fence-orders'));
  assert.deepEqual(d.orders(), ['ask fence-orders']);
  d.take({ kind: 'answer', stepId: 'fence-orders', answer: 'approve', by: 'ana', why: 'it is gone' });
  d.take({ kind: 'answer', stepId: 'fence-orders', answer: 'approve', by: 'ana', why: 'really' });
  assert.deepEqual(d.orders(), []);
  d.take({ kind: 'answer', stepId: 'fence-orders', answer: 'approve', by: 'bo', why: 'I see it too' });
  assert.deepEqual(d.orders(), ['perform promote promote-orders']);
  assert.deepEqual(d.run.steps['fence-orders']?.evidence?.['riskAcceptedBy'], ['ana', 'bo']);
});

test('a graceful run that loses its source goes on without it when told', () => {
  const steps = [step('observe-orders', { modes: ['graceful'] }), step('fence-orders', change)];
  const d = driven(planOf(inOrder(steps), { mode: 'graceful' }));
  d.take({ kind: 'started' });
  d.take(fails('observe-orders'));
  assert.equal(d.run.status, 'paused');
  d.take({ kind: 'operator', op: 'go-ungraceful', by: 'ana', why: 'the site is gone' });
  assert.deepEqual(d.orders(), ['perform fence fence-orders']);
  assert.equal(d.run.steps['observe-orders']?.status, 'skipped');
});

test('pause holds new steps, resume starts them; the step that was out still counts', () => {
  const d = driven(planOf(inOrder([step('check-orders'), step('verify-orders')])));
  d.take({ kind: 'started' });
  d.take({ kind: 'operator', op: 'pause', by: 'ana', why: 'look first' });
  d.take(ok('check-orders'));
  assert.deepEqual(d.orders(), []);
  d.take({ kind: 'operator', op: 'resume', by: 'ana', why: 'looks well' });
  assert.deepEqual(d.orders(), ['perform verify verify-orders']);
});

test('a fence or a promotion is never skipped', () => {
  for (const id of ['fence-orders', 'promote-orders']) {
    const d = driven(planOf([step(id, { ...change, onFailure: 'pause' })], { mode: 'graceful' }));
    d.take({ kind: 'started' });
    d.take(fails(id));
    d.take({ kind: 'operator', op: 'skip', stepId: id, by: 'ana', why: 'hurry' });
    assert.equal(d.run.steps[id]?.status, 'failed');
    assert.equal(d.run.status, 'paused');
  }
});

test('a step that is not critical leaves a finding and the run goes on', () => {
  const d = driven(planOf(inOrder([step('verify-orders', { critical: false }), step('check-orders')])));
  d.take({ kind: 'started' });
  d.take(fails('verify-orders'));
  assert.deepEqual(d.orders(), ['perform check check-orders']);
  assert.ok(d.commands.some((c) => c.kind === 'record' && c.what === 'finding'));
});

test('the clean-up of a drill runs whatever happened before it', () => {
  const steps = inOrder([
    step('restore-orders', change),
    step('verify-orders', { onFailure: 'abort' }),
    step('restore-orders-remove', { ...change, always: true }),
  ]);
  const d = driven(planOf(steps, { kind: 'drill', drill: true }));
  d.take({ kind: 'started' });
  d.take(ok('restore-orders'));
  d.take(fails('verify-orders'));
  assert.deepEqual(d.orders(), ['perform restore restore-orders-remove']);
  d.take(ok('restore-orders-remove'));
  assert.deepEqual(d.orders(), ['finish failed']);
});

test('events that come late or twice change nothing but the record', () => {
  const d = driven(planOf(inOrder([step('check-orders'), step('verify-orders')])));
  d.take({ kind: 'started' });
  d.take(ok('check-orders'));
  const before = JSON.stringify({ ...d.run, seq: 0 });
  d.take(ok('check-orders'));
  d.take(ok('no-such-step'));
  d.take({ kind: 'timer', timerId: 'step:check-orders' });
  assert.deepEqual(d.orders(), []);
  assert.equal(JSON.stringify({ ...d.run, seq: 0 }), before);
});

test('records are numbered without a gap', () => {
  const d = driven(failoverPlan());
  const seqs: number[] = [];
  const note = () => seqs.push(...d.commands.flatMap((c) => (c.kind === 'record' ? [c.seq] : [])));
  d.take({ kind: 'started' });
  note();
  for (const id of ['check-orders', 'quiesce-entry', 'fence-orders', 'promote-orders', 'route-entry']) {
    d.take(ok(id));
    note();
  }
  assert.deepEqual(
    seqs,
    seqs.map((_, i) => i + 1),
  );
});

test('advance leaves the run it was given as it was', () => {
  const d = driven(failoverPlan());
  const before = d.run;
  const copy = JSON.stringify(before);
  d.take({ kind: 'started' });
  assert.equal(JSON.stringify(before), copy);
});

test('tokens fit a vendor ClientToken and differ by run, step, epoch and direction', () => {
  const tokens = new Set<string>();
  for (const id of ['run-1', 'run-2'])
    for (const epoch of [2, 3])
      for (const stepId of ['fence-orders', 'promote-orders'])
        for (const undoing of [false, true]) tokens.add(tokenOf(newRun(id, planOf([], { epoch })), stepId, undoing));
  assert.equal(tokens.size, 16);
  for (const token of tokens) assert.match(token, /^[\x21-\x7e]{1,64}$/);
});
