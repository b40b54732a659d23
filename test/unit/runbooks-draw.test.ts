import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compile } from '../../runbooks/compile.ts';
import { drawMermaid, drawText } from '../../runbooks/draw.ts';
import { durationText, parseDurationMs } from '../../runbooks/durations.ts';
import { forecast, type Present } from '../../runbooks/forecast.ts';
import { ancestorsOf, edgesOf, findCycle, wavesOf, withoutShortcuts } from '../../runbooks/graph.ts';
import { nearest } from '../../runbooks/nearest.ts';
import { parseRunbook } from '../../runbooks/runbook.ts';
import type { Mode, Plan } from '../../workflows/engine/plan.ts';
import { testCatalogue as catalogue } from '../support/catalogue.ts';
import { anyEstate, shopEstate } from '../support/estates.ts';

function failover(mode: Mode): Plan {
  return compile({ estate: shopEstate(), service: 'shop', kind: 'failover', mode, epoch: 2, catalogue });
}

test('the text shows order, what runs side by side, where, how long, what then, and the point of no return', () => {
  const [title, objectives, hash, empty, ...table] = drawText(failover('ungraceful')).trimEnd().split('\n');
  assert.equal(title, 'failover of shop: hangzhou -> beijing, ungraceful, epoch 2');
  assert.equal(objectives, 'objectives: RPO 5 s, RTO 30 s; critical path about 4 s');
  assert.match(hash ?? '', /^plan [0-9a-f]{12}$/);
  assert.equal(empty, '');
  assert.deepEqual(table, [
    '  #   step            at       effect        about   within  if it fails  undo     notes',
    '  1┌  check-orders    control  read          300 ms  5 s     abort                 over the RPO: asks 1',
    '   └  check-entry     control  read          100 ms  5 s     abort',
    '  2   quiesce-entry   control  change        100 ms  10 s    go on        unfence',
    '  3   fence-orders    control  change        2 s     30 s    pause        unfence  t4 fenced; not confirmed: asks 2',
    '  4   observe-orders  beijing  read          200 ms  10 s    pause                 over the RPO: asks 1',
    '═════ point of no return: promote-orders ═════',
    '  5   promote-orders  beijing  irreversible  800 ms  60 s    pause                 t5 promoted',
    '  6   route-entry     control  change        100 ms  15 s    pause                 t6 routed',
    '  7┌  verify-orders   beijing  read          200 ms  10 s    pause',
    '   └  verify-entry    control  read          500 ms  20 s    pause                 t7 verified',
    '  8   commit          people                                                       t8 committed; approved by policy',
  ]);
});

test('the Mermaid chart has a node for each step, an arrow for each order that does not follow from others', () => {
  const chart = drawMermaid(failover('graceful'));
  assert.match(chart, /^flowchart TD\n/);
  assert.match(chart, / {2}s6\["promote-orders<br\/>beijing<br\/>point of no return<br\/>t5 promoted"\]\n/);
  assert.match(
    chart,
    / {2}s10\{\{"commit<br\/>Commit shop at beijing\?<br\/>t8 committed<br\/>approved by policy"\}\}\n/,
  );
  assert.equal(chart.match(/point of no return/g)?.length, 1);
  assert.match(chart, / {2}s2 --> s3\n/);
  assert.doesNotMatch(chart, / {2}s0 --> s3\n/);
});

test('a question cannot break out of its label', () => {
  const text = 'kind: reprotect\nservice: shop\nsteps:\n  - gate: \'Say "yes"] --> <b> #1 & go\'\n  - fence: orders\n';
  const runbook = parseRunbook(text, 'ask.yaml', shopEstate(), catalogue);
  const plan = compile({
    estate: shopEstate(),
    service: 'shop',
    kind: 'reprotect',
    mode: 'graceful',
    epoch: 2,
    runbook,
    catalogue,
  });
  assert.match(drawMermaid(plan), /\{\{"gate-1<br\/>Say #34;yes#34;\] --#62; #60;b#62; #35;1 #38; go<br\/>asks 1"\}\}/);
});

test('whatever the estate, both drawings show every step once', () => {
  fc.assert(
    fc.property(anyEstate(), fc.constantFrom<Mode>('graceful', 'ungraceful'), (estate, mode) => {
      const plan = compile({ estate, service: 'shop', kind: 'failover', mode, epoch: 2, catalogue });
      const rows = drawText(plan).split('\n').slice(5);
      for (const step of plan.steps) {
        assert.equal(rows.filter((row) => row.slice(4).trim().split(/ +/)[0] === step.id).length, 1, step.id);
        assert.equal(drawMermaid(plan).split(`"${step.id}<br/>`).length, 2, step.id);
      }
    }),
    { numRuns: 50 },
  );
});

const forecasts: {
  name: string;
  mode: Mode;
  present: Present;
  rto: number;
  rpo: number | null;
  met: [string, string];
}[] = [
  {
    name: 'nothing known: the drivers’ estimates, and no word on the loss',
    mode: 'ungraceful',
    present: {},
    rto: 4,
    rpo: null,
    met: ['met', 'unknown'],
  },
  {
    name: 'a lag within the objective is lost',
    mode: 'ungraceful',
    present: { lagSeconds: { orders: 1.5 } },
    rto: 4,
    rpo: 1.5,
    met: ['met', 'met'],
  },
  {
    name: 'a lag over the objective misses it',
    mode: 'ungraceful',
    present: { lagSeconds: { orders: 9 } },
    rto: 4,
    rpo: 9,
    met: ['met', 'missed'],
  },
  {
    name: 'a lag that cannot be read is unknown',
    mode: 'ungraceful',
    present: { lagSeconds: { orders: null } },
    rto: 4,
    rpo: null,
    met: ['met', 'unknown'],
  },
  {
    name: 'a lag that is no number is unknown',
    mode: 'ungraceful',
    present: { lagSeconds: { orders: Number.NaN } },
    rto: 4,
    rpo: null,
    met: ['met', 'unknown'],
  },
  {
    name: 'a planned run drains the lag',
    mode: 'graceful',
    present: { lagSeconds: { orders: 9 } },
    rto: 2.7,
    rpo: 0,
    met: ['met', 'met'],
  },
  {
    name: 'a planned run does not know either',
    mode: 'graceful',
    present: { lagSeconds: {} },
    rto: 2.7,
    rpo: null,
    met: ['met', 'unknown'],
  },
  {
    name: 'medians of past runs replace estimates',
    mode: 'ungraceful',
    present: { stepMedianMs: { 'promote-orders': 30_000 } },
    rto: 33.2,
    rpo: null,
    met: ['missed', 'unknown'],
  },
  {
    name: 'a median off the critical path changes nothing',
    mode: 'ungraceful',
    present: { stepMedianMs: { 'check-entry': 200 } },
    rto: 4,
    rpo: null,
    met: ['met', 'unknown'],
  },
];

for (const { name, mode, present, rto, rpo, met } of forecasts)
  test(`forecast: ${name}`, () => {
    const expected = forecast(failover(mode), present);
    assert.deepEqual([expected.rto.seconds, expected.rpo.seconds], [rto, rpo]);
    assert.deepEqual([expected.rto.verdict.kind, expected.rpo.verdict.kind], met);
    assert.equal(expected.rto.confidence, 'estimated');
    assert.equal(expected.rpo.confidence, rpo === null ? 'unknown' : 'estimated');
    assert.deepEqual(
      expected.rto.measuredSteps,
      Object.keys(present.stepMedianMs ?? {}).filter((id) => id !== 'check-entry'),
    );
  });

test('a forecast names the gates that people must open before clients are served, not the commit after it', () => {
  const text = [
    'kind: failover\nservice: shop\nsteps:\n  - gate: Go?\n    id: go\n  - fence: orders\n  - observe: orders\n  - promote: orders',
    '  - route: entry\n  - verify: entry\n  - gate: Commit?\n    id: commit\n',
  ].join('\n');
  const runbook = parseRunbook(text, 'ask.yaml', shopEstate(), catalogue);
  const input = {
    estate: shopEstate(),
    service: 'shop',
    kind: 'failover',
    mode: 'ungraceful',
    epoch: 2,
    catalogue,
  } as const;
  assert.deepEqual(forecast(compile({ ...input, runbook })).waitsForPeople, ['go']);
  assert.deepEqual(forecast(compile(input)).waitsForPeople, []);
});

/** Graphs without cycles: a node comes after some of those before it. */
const anyGraph = fc
  .array(fc.array(fc.nat(9), { maxLength: 4 }), { minLength: 1, maxLength: 10 })
  .map((rows) => new Map(rows.map((row, i) => [`n${i}`, [...new Set(row.filter((j) => j < i).map((j) => `n${j}`))]])));

test('leaving out shortcuts changes nothing about what comes before what', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => assert.deepEqual(ancestorsOf(withoutShortcuts(graph)), ancestorsOf(graph))),
  );
});

test('a cycle is found when one edge back is added, and named as a closed walk along edges', () => {
  fc.assert(
    fc.property(anyGraph, fc.nat(), (graph, choice) => {
      assert.equal(findCycle(graph), null);
      const pairs = [...ancestorsOf(graph)].flatMap(([name, before]) => [...before].map((b) => [b, name] as const));
      const back = pairs[choice % Math.max(pairs.length, 1)];
      fc.pre(back !== undefined);
      const [early, late] = back;
      const looped = new Map(graph).set(early, [...(graph.get(early) ?? []), late]);
      const cycle = findCycle(looped) ?? [];
      assert.ok(cycle.length >= 3 && cycle[0] === cycle.at(-1), cycle.join());
      for (const [index, name] of cycle.slice(1).entries()) assert.ok(looped.get(cycle[index] ?? '')?.includes(name));
    }),
  );
});

test('waves keep the order: a step stands in a later wave than all it comes after', () => {
  const plan = failover('graceful');
  const wave = new Map(wavesOf(plan.steps).flatMap((steps, index) => steps.map((step) => [step.id, index] as const)));
  for (const [id, before] of edgesOf(plan.steps))
    for (const first of before) assert.ok((wave.get(first) ?? NaN) < (wave.get(id) ?? NaN), `${first} ${id}`);
});

const words = [
  { word: 'primry', among: ['primary', 'standby'], want: 'primary' },
  { word: 'PRIMARY', among: ['primary', 'standby'], want: 'primary' },
  { word: 'hangzohu', among: ['hangzhou', 'beijing'], want: 'hangzhou' },
  { word: 'owner', among: ['primary', 'standby'], want: null },
  { word: 'x', among: [], want: null },
];
for (const { word, among, want } of words)
  test(`the word meant by ${word} is ${want ?? 'none'}`, () => assert.equal(nearest(word, among), want));

const durations = [
  { text: '500ms', ms: 500, shown: '500 ms' },
  { text: '1.5s', ms: 1_500, shown: '1.5 s' },
  { text: '90s', ms: 90_000, shown: '90 s' },
  { text: '15m', ms: 900_000, shown: '15 min' },
  { text: '2h', ms: 7_200_000, shown: '2 h' },
];
for (const { text, ms, shown } of durations)
  test(`${text} is ${ms} ms and is shown as ${shown}`, () => {
    assert.equal(parseDurationMs(text), ms);
    assert.equal(durationText(ms), shown);
  });

for (const text of ['', '5', '5 s', '-5s', 's', '1d', '5S'])
  test(`"${text}" is no duration`, () => assert.equal(parseDurationMs(text), null));
