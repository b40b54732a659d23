import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compile } from '../../runbooks/compile.ts';
import { lint } from '../../runbooks/lint.ts';
import type { Mode, PlanStep, RunKind } from '../../workflows/engine/plan.ts';
import { testCatalogue as catalogue } from '../support/catalogue.ts';
import { anyEstate } from '../support/estates.ts';
import { change, edited, is, without, type Edit } from '../support/plan-edits.ts';

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
