import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from '../../runbooks/compile.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import type { Plan, RunKind } from '../../workflows/engine/plan.ts';
import { testCatalogue as catalogue } from '../support/catalogue.ts';
import { seeded } from '../support/random.ts';
import { simulate, type SimOptions, type SimResult } from './run.ts';
import { newWorld, writes, type SimWorld } from './world.ts';

const runs = Number(process.env['MUSTER_SIM_RUNS'] ?? 2_400);
const firstSeed = Number(process.env['MUSTER_SIM_SEED'] ?? 1);

const estate = parseEstate(
  `version: 1
control: { url: env:C, token: env:T }
sites: { a: { region: ra, agent: env:A }, b: { region: rb, agent: env:B } }
services:
  shop:
    primary: a
    standby: b
    objectives: { rpoSeconds: 5, rtoSeconds: 120 }
    policy: { leaseSeconds: 2 }
    resources:
      orders: { driver: postgres, tables: [orders], a: { url: env:UA, replicationUrl: env:RA, dataDir: /a }, b: { url: env:UB, replicationUrl: env:RB, dataDir: /b } }
      entry: { driver: proxy, after: [orders], admin: env:ADMIN, token: env:T, a: { upstream: env:SA }, b: { upstream: env:SB } }
`,
  'sim.yaml',
  catalogue,
);

function planFor(kind: RunKind, mode: Plan['mode'], epoch = 2): Plan {
  return compile({ estate, service: 'shop', kind, from: 'a', to: 'b', mode, epoch, catalogue });
}
const plans = {
  unplanned: planFor('failover', 'ungraceful'),
  planned: planFor('failover', 'graceful'),
  drill: planFor('drill', 'graceful'),
};

/** What a seed stands for: which plan, what dies when, how people behave. */
function scenario(seed: number): { plan: Plan; world: SimWorld; options: SimOptions } {
  const random = seeded(seed * 7919);
  const plan = random.pick([plans.unplanned, plans.unplanned, plans.planned, plans.drill]);
  const world = newWorld('a', 'b', random.pick([0, 1, 4, 30, null]));
  const site = random.pick(['a', 'a', 'a', 'b']);
  const events: NonNullable<SimOptions['events']> = [];
  const fate = random.pick(['dies', 'cut off', 'dies and returns', 'flaps', 'nothing']);
  const set = (atMs: number, change: Partial<SimWorld['sites'][string]>): void => {
    events.push({
      atMs,
      do: (w) => {
        const found = w.sites[site];
        if (found !== undefined) Object.assign(found, change);
      },
    });
  };
  const startMs = plan === plans.unplanned && random.chance(0.8) ? 0 : random.between(0, 2_000);
  if (fate === 'dies' || fate === 'dies and returns') set(startMs, { alive: false });
  if (fate === 'dies and returns') set(startMs + random.between(100, 20_000), { alive: true });
  if (fate === 'cut off') set(startMs, { connected: false });
  if (fate === 'flaps')
    for (let i = 0; i < 6; i++) set(startMs + i * random.between(300, 3_000), { connected: i % 2 === 1 });
  const options: SimOptions = {
    seed,
    faultRate: random.pick([0, 0.1, 0.3, 0.6]),
    crashRate: random.pick([0, 0.05, 0.3]),
    events,
    answer: random.pick(['approve', 'approve', 'decline', 'nobody']),
    operator: random.chance(0.7),
  };
  return { plan, world, options };
}

function run(seed: number): SimResult {
  const { plan, world, options } = scenario(seed);
  return simulate(plan, world, options);
}

/** What must hold after every run, whatever happened. Returns what is broken, in words. */
function brokenLaws(result: SimResult): string[] {
  const { run: ended, world, records } = result;
  // Two people took the risk of a second writer upon themselves, by name: the one case in which there may be one.
  const takenBy = ended.steps['fence-orders']?.evidence?.['riskAcceptedBy'];
  const riskTaken = Array.isArray(takenBy) && takenBy.length >= 2;
  const broken = riskTaken ? [] : [...world.violations];
  const steps = ended.plan.steps;
  const status = (id: string): string => ended.steps[id]?.status ?? 'missing';
  if (records.some((record, i) => record.seq !== i + 1)) broken.push('records have a gap');
  if (ended.pastNoReturn && steps.some((step) => status(step.id).startsWith('undo')))
    broken.push('undone past the point of no return');
  const promotedAtMs = ended.clocks.promoted;
  if (promotedAtMs !== undefined && (ended.clocks.fenced ?? Infinity) > promotedAtMs)
    broken.push('promoted before it was fenced');
  const frozen = steps.find((step) => step.args['freeze'] === true);
  const lossFits = world.lossSeconds !== null && world.lossSeconds <= ended.plan.objectives.rpoSeconds;
  const accepted = frozen !== undefined && (ended.steps[frozen.id]?.approvals.length ?? 0) > 0;
  if (promotedAtMs !== undefined && ended.mode === 'ungraceful' && !lossFits && !accepted && world.lossSeconds !== 0)
    broken.push('promoted with a loss that nobody knew or accepted');
  const out = Object.values(ended.steps).filter((state) =>
    ['performing', 'confirming', 'undoing'].includes(state.status),
  );
  if (ended.status === 'finished' && out.length > 0) broken.push('the run ended with a step out');
  if (
    ended.plan.drill &&
    ended.status === 'finished' &&
    world.sites['b']?.alive === true &&
    world.sites['b'].connected &&
    world.sites['b'].scratch &&
    status('restore-orders-remove') === 'done'
  )
    broken.push('the drill left its copy behind');
  const asks = Object.values(ended.steps).some((state) => state.status === 'asking');
  if (result.stuck && !asks && ended.status !== 'paused') broken.push(`the run hangs in ${ended.status}`);
  return broken;
}

test(`${runs} simulated runs with faults at every command keep every law`, () => {
  const outcomes: Record<string, number> = {};
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const result = run(seed);
    const broken = brokenLaws(result);
    assert.deepEqual(
      broken,
      [],
      `seed ${seed} (MUSTER_SIM_SEED=${seed} MUSTER_SIM_RUNS=1):\n${result.trace.join('\n')}`,
    );
    const outcome = result.run.outcome ?? `waits: ${result.run.status}`;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  for (const outcome of ['unprotected', 'protected', 'completed', 'aborted', 'failed'])
    assert.ok(
      (outcomes[outcome] ?? 0) > runs / 200 || runs < 1_000,
      `${outcome} was hardly reached: ${JSON.stringify(outcomes)}`,
    );
});

/** What the world looks like to those who use it, without times. */
function worldAfter(world: SimWorld): unknown {
  const { sites, granter, entry } = world;
  const roles = Object.values(sites).map(({ name, role, epoch, scratch }) => ({ name, role, epoch, scratch }));
  return { roles, granter: { epoch: granter.epoch, holder: granter.holder }, entry };
}

for (const [name, plan] of Object.entries(plans)) {
  test(`${name}: a shell that dies after any event of the run ends in the same world as one that never died`, () => {
    const undisturbed = newWorld('a', 'b', 0);
    const whole = simulate(plan, undisturbed, { seed: 1, faultRate: 0, crashRate: 0 });
    assert.equal(whole.run.status, 'finished');
    assert.ok(whole.trace.length > 4);
    for (let at = 0; at < whole.trace.length; at++) {
      for (const seed of [1, 2, 3]) {
        const world = newWorld('a', 'b', 0);
        const result = simulate(plan, world, { seed, faultRate: 0, crashRate: 0, crashAtEvent: at });
        const told = `crashed after event ${at} (${whole.trace[at]})\n${result.trace.join('\n')}`;
        assert.deepEqual(brokenLaws(result), [], told);
        assert.equal(result.run.outcome, whole.run.outcome, told);
        assert.deepEqual(worldAfter(world), worldAfter(undisturbed), told);
      }
    }
  });
}

test('the same seed gives the same run', () => {
  for (const seed of [3, 17, 99, 1234]) assert.deepEqual(run(seed).trace, run(seed).trace);
});

test('without faults an unplanned failover of a dead site ends unprotected at the other, with one writer', () => {
  const world = newWorld('a', 'b', 1);
  const dead = { atMs: 0, do: (w: SimWorld) => void Object.assign(w.sites['a'] ?? {}, { alive: false }) };
  const result = simulate(plans.unplanned, world, { seed: 1, faultRate: 0, crashRate: 0, events: [dead] });
  assert.equal(result.run.outcome, 'unprotected');
  const b = world.sites['b'];
  assert.ok(b !== undefined && b.role === 'primary' && world.entry.route === 'b');
});

test('a planned run that is aborted before the promotion gives the old site its lease back', () => {
  const world = newWorld('a', 'b', 0);
  const plan = {
    ...plans.planned,
    steps: plans.planned.steps.map((s) =>
      s.verb === 'observe' && s.args['freeze'] === true ? { ...s, onFailure: 'abort' as const, withinMs: 500 } : s,
    ),
  };
  const cut = { atMs: 75, do: (w: SimWorld) => void Object.assign(w.sites['b'] ?? {}, { connected: false }) };
  const result = simulate(plan, world, { seed: 5, faultRate: 0, crashRate: 0, events: [cut] });
  const a = world.sites['a'];
  assert.ok(a !== undefined);
  if (result.run.outcome === 'failed') {
    assert.equal(result.run.steps['fence-orders']?.status, 'undone');
    assert.ok(writes(world, a), 'the old writer writes again');
    assert.equal(world.entry.mode, 'open');
  } else {
    assert.equal(result.run.status, 'paused');
  }
});

test('the simulator finds a plan that promotes without a fence', () => {
  const steps = plans.unplanned.steps
    .filter((s) => s.verb !== 'fence')
    .map((s) => ({ ...s, after: s.after.flatMap((id) => (id === 'fence-orders' ? ['quiesce-entry'] : [id])) }));
  const world = newWorld('a', 'b', 0);
  const result = simulate({ ...plans.unplanned, steps }, world, { seed: 2, faultRate: 0, crashRate: 0 });
  assert.ok(brokenLaws(result).length > 0);
});
