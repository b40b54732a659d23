import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import { Totals } from '../../scripts/testing/totals.ts';

const said = (message: string, nesting = 0): TestEvent =>
  ({ type: 'test:diagnostic', data: { message, nesting, level: 'info' } }) as TestEvent;
const failure = (todo?: boolean): TestEvent => ({ type: 'test:fail', data: { nesting: 0, todo } }) as TestEvent;
const emptyFile = {
  type: 'test:pass',
  data: { name: 'test/unit/x.test.ts', nesting: 0, file: '/somewhere/test/unit/x.test.ts' },
};
const round = (tests: number, fail: number): TestEvent[] =>
  [`tests ${tests}`, `pass ${tests - fail}`, `fail ${fail}`, 'duration_ms 10.6'].map((line) => said(line));

function sum(events: TestEvent[]): Totals {
  const totals = new Totals();
  for (const event of events) totals.take(event);
  return totals;
}

test('the totals of two runs are shown as one, in the order of node:test', () => {
  const lines = [...sum([...round(3, 0), ...round(4, 1)]).events()].map(
    (event) => (event.data as { message: string }).message,
  );
  assert.deepEqual(lines, [
    ...['tests 7', 'suites 0', 'pass 6', 'fail 1', 'cancelled 0', 'skipped 0', 'todo 0', 'duration_ms 21'],
  ]);
});

const cases: { name: string; events: TestEvent[]; passed: boolean }[] = [
  { name: 'all green', events: round(3, 0), passed: true },
  { name: 'one failure in the first of two runs', events: [...round(3, 1), ...round(4, 0)], passed: false },
  { name: 'no test at all', events: round(0, 0), passed: false },
  {
    name: 'only a file without tests, which node:test counts as one',
    events: [emptyFile as TestEvent, ...round(1, 0)],
    passed: false,
  },
  { name: 'a file without tests beside others', events: [emptyFile as TestEvent, ...round(2, 0)], passed: true },
  {
    name: 'a failed file whose run was cut short before its totals',
    events: [...round(3, 0), failure()],
    passed: false,
  },
  { name: 'a failure that is marked as still to do', events: [...round(3, 0), failure(true)], passed: true },
];
for (const { name, events, passed } of cases) {
  test(`verdict: ${name}`, () => {
    assert.equal(sum(events).passed, passed);
  });
}

test("a test's own diagnostic is left in the stream, even when it looks like a total", () => {
  const totals = new Totals();
  assert.equal(totals.take(said('tests 5', 1)), false);
  assert.equal(totals.take(said('seed 42')), false);
  assert.equal(totals.passed, false);
});
