import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkHistory } from './checker.ts';
import { deleteMarker, type Mode, type Operation } from './history.ts';
import { del, delIf, delVersion, get, getTagged, getVersion, on, put, putIf, refused, tag } from './moves.ts';
import { recordedHistory } from './register-in-memory.ts';

interface Case {
  name: string;
  history: Operation[];
  mode?: Mode;
}

const any = { ifMatch: '*' };
const none = { ifNoneMatch: '*' };

const bad: Case[] = [
  { name: 'a tag is lost', history: [put('a', [0, 1]), tag('t', [2, 3]), get('a', [4, 5])] },
  {
    name: 'an older tag is back',
    history: [put('a', [0, 1]), tag('t', [2, 3]), tag('u', [4, 5]), getTagged('a', 't', [6, 7])],
  },
  {
    name: 'a tag outlives what it was put on',
    history: [put('a', [0, 1]), tag('t', [2, 3]), put('b', [4, 5]), getTagged('b', 't', [6, 7])],
  },
  {
    name: 'a tag of an older version shows on the newest',
    history: [put('a', [0, 1], 'v1'), put('b', [2, 3], 'v2'), tag('t', [4, 5], 'v1'), getTagged('b', 't', [6, 7])],
    mode: 'enabled',
  },
  { name: 'a tag is put on nothing', history: [put('a', [0, 1]), del([2, 3]), tag('t', [4, 5])] },
  { name: 'a tag is refused though there is something', history: [put('a', [0, 1]), refused(tag('t', [2, 3]))] },
  { name: 'a read misses an acknowledged write', history: [put('a', [0, 1]), get(undefined, [2, 3])] },
  { name: 'a read is stale', history: [put('a', [0, 1]), put('b', [2, 3]), get('a', [4, 5])] },
  { name: 'a read shows what nobody wrote', history: [put('a', [0, 1]), get('z', [2, 3])] },
  { name: 'a read shows a write before it was called', history: [get('a', [0, 1]), put('a', [2, 3])] },
  {
    name: 'an update is lost: both writers met the same value',
    history: [
      put('a', [0, 1]),
      putIf({ ifMatch: 'a' }, 'b', [2, 5]),
      putIf({ ifMatch: 'a' }, 'c', [3, 6]),
      get('c', [7, 8]),
    ],
  },
  { name: 'a deleted value is back', history: [put('a', [0, 1]), del([2, 3]), get('a', [4, 5])] },
  {
    name: 'a deleted value is back after it was seen to be gone, though the delete went on',
    history: [put('a', [0, 1]), del([2, 20]), get(undefined, [3, 4]), get('a', [5, 6])],
  },
  {
    name: 'two reads during one write see new, then old',
    history: [put('a', [0, 1]), put('b', [2, 20]), get('b', [3, 4]), get('a', [5, 6])],
  },
  {
    name: 'two readers see two writes in opposite orders',
    history: [
      ...[put('a', [0, 20]), put('b', [0, 20])],
      ...[get('a', [1, 2]), get('b', [3, 4])],
      ...[get('b', [21, 22]), get('a', [23, 24])],
    ],
  },
  {
    name: 'two writers both create the key',
    history: [putIf(none, 'a', [0, 5]), putIf(none, 'b', [1, 6])],
  },
  {
    name: 'two writers both create the key, one after the other',
    history: [putIf(none, 'a', [0, 1]), putIf(none, 'b', [2, 3]), get('b', [4, 5])],
  },
  {
    name: 'a write of unknown end is seen, then unseen',
    history: [put('a', [0, 1]), put('b', [2]), get('b', [3, 4]), get('a', [5, 6])],
  },
  {
    name: 'a write of unknown end is seen by nobody, then by a reader who comes before its call',
    history: [put('a', [0, 1]), get('b', [2, 3]), put('b', [4])],
  },
  {
    name: 'a delete of unknown end is seen, then unseen',
    history: [put('a', [0, 1]), del([2]), get(undefined, [3, 4]), get('a', [5, 6])],
  },
  {
    name: 'a write of unknown end takes effect twice',
    history: [put('a', [0]), get('a', [1, 2]), put('b', [3, 4]), get('b', [5, 6]), get('a', [7, 8])],
  },
  {
    name: 'a write of unknown end takes effect again after a delete',
    history: [put('a', [0]), get('a', [1, 2]), del([3, 4]), get('a', [5, 6])],
  },
  {
    name: 'a write is refused though its condition was met all the time',
    history: [put('a', [0, 1]), refused(putIf({ ifMatch: 'a' }, 'b', [2, 3]))],
  },
  {
    name: 'a create is refused though the key was never there',
    history: [refused(putIf(none, 'a', [0, 1])), get(undefined, [2, 3])],
  },
  { name: 'a write whose condition nothing met takes effect', history: [putIf(any, 'a', [0, 1])] },
  {
    name: 'a write meets a value that was already overwritten',
    history: [put('a', [0, 1]), put('b', [2, 3]), putIf({ ifMatch: 'a' }, 'c', [4, 5])],
  },
  {
    name: 'a delete meets a value that was already overwritten',
    history: [put('a', [0, 1]), put('b', [2, 3]), delIf({ ifMatch: 'a' }, [4, 5])],
  },
  {
    name: 'a refused write is seen',
    history: [put('a', [0, 1]), refused(putIf(none, 'b', [2, 3])), get('b', [4, 5])],
  },
  {
    name: 'a write of unknown end that was refused for certain is seen',
    history: [put('a', [0, 1]), putIf(none, 'b', [2]), get('b', [3, 4])],
  },
  {
    name: 'a write disappears when another key is deleted',
    history: [
      on('x', put('a', [0, 1])),
      on('y', put('b', [0, 1])),
      on('y', del([2, 3])),
      on('x', get(undefined, [4, 5])),
    ],
  },
  {
    name: 'a version is gone that nobody removed',
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), put('b', [2, 3], 'v2'), getVersion('v1', undefined, [4, 5])],
  },
  {
    name: "a version has another one's value",
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), put('b', [2, 3], 'v2'), getVersion('v1', 'b', [4, 5])],
  },
  {
    name: 'a removed version is back',
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), delVersion('v1', [2, 3]), getVersion('v1', 'a', [4, 5])],
  },
  {
    name: 'a delete marker is lost',
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), del([2, 3], 'm1'), get('a', [4, 5], 'v1')],
  },
  {
    name: 'a removed delete marker still hides the key',
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), del([2, 3], 'm1'), delVersion('m1', [4, 5]), get(undefined, [6, 7])],
  },
  {
    name: 'the newest version is not the one that was written last',
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), put('b', [2, 3], 'v2'), get('a', [4, 5], 'v1')],
  },
  {
    name: 'removing an old version removes the newest',
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), put('b', [2, 3], 'v2'), delVersion('v1', [4, 5]), get(undefined, [6, 7])],
  },
  {
    name: 'a version that cannot have been made yet is listed by its id',
    mode: 'enabled',
    history: [getVersion('v1', 'a', [0, 1]), put('a', [2, 3], 'v1')],
  },
];

const good: Case[] = [
  {
    name: 'a tag shows until another takes its place',
    history: [
      put('a', [0, 1]),
      tag('t', [2, 3]),
      getTagged('a', 't', [4, 5]),
      tag('u', [6, 7]),
      getTagged('a', 'u', [8, 9]),
    ],
  },
  {
    name: 'a tag of unknown end shows late',
    history: [put('a', [0, 1]), tag('t', [2]), get('a', [3, 4]), getTagged('a', 't', [5, 6])],
  },
  {
    name: 'a tag goes with what it was put on',
    history: [put('a', [0, 1]), tag('t', [2, 3]), put('b', [4, 5]), get('b', [6, 7])],
  },
  {
    name: 'a tag is refused where there is nothing',
    history: [refused(tag('t', [0, 1])), put('a', [2, 3]), get('a', [4, 5])],
  },
  { name: 'nothing happened', history: [] },
  { name: 'nothing is there', history: [get(undefined, [0, 1])] },
  { name: 'a write is read', history: [put('a', [0, 1]), get('a', [2, 3])] },
  { name: 'a read during a write sees the old value', history: [put('a', [0, 9]), get(undefined, [1, 2])] },
  { name: 'a read during a write sees the new value', history: [put('a', [0, 9]), get('a', [1, 2])] },
  {
    name: 'reads during a write see old, then new',
    history: [put('a', [0, 1]), put('b', [2, 20]), get('a', [3, 4]), get('b', [5, 6])],
  },
  {
    name: 'overlapping reads see new and old in any order',
    history: [put('a', [0, 1]), put('b', [2, 20]), get('b', [3, 8]), get('a', [4, 9])],
  },
  {
    name: 'of two overlapping writes either may come last',
    history: [put('a', [0, 5]), put('b', [1, 4]), get('a', [6, 7])],
  },
  {
    name: 'a write of unknown end never happens',
    history: [put('a', [0, 1]), put('b', [2]), get('a', [3, 4]), get('a', [50, 51])],
  },
  {
    name: 'a write of unknown end happens at once',
    history: [put('a', [0, 1]), put('b', [2]), get('b', [3, 4])],
  },
  {
    name: 'a write of unknown end happens much later, over newer writes',
    history: [put('b', [0]), put('a', [1, 2]), get('a', [3, 4]), get('b', [5, 6])],
  },
  {
    name: 'a delete of unknown end happens late',
    history: [put('a', [0, 1]), del([2]), get('a', [3, 4]), get(undefined, [5, 6])],
  },
  { name: 'one of two creators is refused', history: [putIf(none, 'a', [0, 5]), refused(putIf(none, 'b', [1, 6]))] },
  {
    name: 'both creators succeed around a delete',
    history: [putIf(none, 'a', [0, 5]), putIf(none, 'b', [1, 9]), del([2, 8]), get('b', [10, 11])],
  },
  {
    name: 'of two updates of one value one is refused',
    history: [
      put('a', [0, 1]),
      putIf({ ifMatch: 'a' }, 'b', [2, 5]),
      refused(putIf({ ifMatch: 'a' }, 'c', [3, 6])),
      get('b', [7, 8]),
    ],
  },
  {
    name: 'a create is refused because of a write of unknown end',
    history: [put('a', [0]), refused(putIf(none, 'b', [1, 2]))],
  },
  {
    name: 'a chain of updates',
    history: [putIf(none, 'a', [0, 1]), putIf({ ifMatch: 'a' }, 'b', [2, 3]), putIf({ ifMatch: 'b' }, 'c', [4, 5])],
  },
  {
    name: 'a conditional delete and what follows it',
    history: [put('a', [0, 1]), delIf({ ifMatch: 'a' }, [2, 3]), putIf(none, 'b', [4, 5]), get('b', [6, 7])],
  },
  { name: 'a delete of nothing', history: [del([0, 1]), get(undefined, [2, 3])] },
  {
    name: 'two keys, each in its own order',
    history: [
      ...[on('x', put('a', [0, 5])), on('x', get('a', [1, 2])), on('y', get(undefined, [3, 4]))],
      ...[on('y', put('b', [0, 5])), on('y', get('b', [6, 7])), on('x', get('a', [6, 7]))],
    ],
  },
  { name: 'a read without an answer says nothing', history: [put('a', [0, 1]), get('z', [2])] },
  { name: 'what touches overlaps', history: [put('a', [0, 1]), put('b', [1, 2]), get('a', [3, 4])] },
  {
    name: 'versions stay while newer ones come',
    mode: 'enabled',
    history: [
      ...[put('a', [0, 1], 'v1'), put('b', [2, 3], 'v2'), get('b', [4, 5], 'v2'), getVersion('v1', 'a', [4, 5])],
      ...[
        del([6, 7], 'm1'),
        get(undefined, [8, 9]),
        getVersion('v2', 'b', [8, 9]),
        getVersion('m1', deleteMarker, [8, 9]),
      ],
    ],
  },
  {
    name: 'a removed delete marker lets the version before it be seen',
    mode: 'enabled',
    history: [put('a', [0, 1], 'v1'), del([2, 3], 'm1'), delVersion('m1', [4, 5]), get('a', [6, 7], 'v1')],
  },
  {
    name: 'the delete marker of a delete of unknown end is met and removed',
    mode: 'enabled',
    history: [
      put('a', [0, 1], 'v1'),
      del([2]),
      getVersion('m1', deleteMarker, [3, 4]),
      delVersion('m1', [5, 6]),
      get('a', [7, 8]),
    ],
  },
  {
    name: 'the version of a write of unknown end is known from a reader',
    mode: 'enabled',
    history: [put('a', [0]), get('a', [1, 2], 'v1'), put('b', [3, 4], 'v2'), getVersion('v1', 'a', [5, 6])],
  },
  {
    name: 'where versioning is suspended a delete marker takes the place of the null version',
    mode: 'suspended',
    history: [put('a', [0, 1]), del([2, 3]), get(undefined, [4, 5]), getVersion('null', deleteMarker, [6, 7])],
  },
];

for (const { name, history, mode } of bad) {
  test(`caught: ${name}`, () => {
    const report = checkHistory(history, { modeOf: () => mode ?? 'off' });
    assert.equal(report.kind, 'violation');
  });
}

for (const { name, history, mode } of good) {
  test(`accepted: ${name}`, () => {
    const report = checkHistory(history, { modeOf: () => mode ?? 'off' });
    assert.deepEqual(report, { kind: 'linearizable' });
  });
}

test('there are enough examples of each', () => {
  assert.ok(bad.length >= 20 && good.length >= 20);
});

test('a search that is too long ends without a verdict, and says so', () => {
  const history = Array.from({ length: 12 }, (_, i) => put(`v${i}`, [0, 100]));
  const report = checkHistory([...history, get('nobody', [101, 102])], { budget: 500 });
  assert.equal(report.kind, 'undecided');
});

test('a violation is told with the operations that could not be explained', () => {
  const report = checkHistory([put('a', [0, 1]), get(undefined, [2, 3])]);
  assert.ok(report.kind === 'violation');
  assert.match(report.text, /left over:\n {2}\[2\.\.3\] c\d+: get -> nothing/);
});

test('whatever a real object does, with any delays and lost answers, is accepted', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom<Mode>('off', 'enabled', 'suspended'), (seed, mode) => {
      const report = checkHistory(recordedHistory(seed, mode), { modeOf: () => mode });
      assert.deepEqual(report, { kind: 'linearizable' });
    }),
    { numRuns: 400 },
  );
});

test('every history in which one read was falsified is caught', () => {
  let caught = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const history = recordedHistory(seed, 'off');
    const reads = history.filter(({ action, outcome }) => action.kind === 'get' && outcome.kind === 'ok');
    const victim = reads[seed % reads.length]!;
    const falsified = history.map((one) =>
      one === victim ? { ...one, outcome: { kind: 'ok' as const, value: 'written by nobody' } } : one,
    );
    if (checkHistory(falsified).kind === 'violation') caught += 1;
  }
  assert.equal(caught, 300);
});
