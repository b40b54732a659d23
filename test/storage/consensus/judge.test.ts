import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge } from '../../../storage-node/consensus/judge.ts';
import { type HeldRegister, type LayeredRegister } from '../../../storage-node/store/drive-api.ts';
import { readQuorum, writeQuorum } from '../../../storage-node/store/set.ts';

/** `7` accepted, `7d` known to be decided, `7t` a tombstone, `0` nothing; `9>7d` 9 accepted over 7. */
function layers(text: string): LayeredRegister {
  const [top, ...older] = text.split('>').map(register);
  return { ...top!, older };
}

function register(text: string): HeldRegister {
  return {
    headData: undefined,
    note: undefined,
    ballot: Number.parseInt(text, 10),
    decided: text.includes('d'),
    tombstone: text.includes('t'),
    hidden: false,
    state: new Uint8Array(0),
  };
}

const cases: { name: string; size: number; known: string; want: string }[] = [
  { name: 'nobody has anything', size: 4, known: '0 0', want: 'value 0' },
  { name: 'one mark of decision is enough', size: 4, known: '7d 5', want: 'value 7' },
  { name: 'a write quorum is a decision', size: 4, known: '7 7 7', want: 'value 7' },
  { name: 'two of four may have been chosen by one not heard', size: 4, known: '7 7', want: 'maybe 7 complete' },
  {
    name: 'one of four heard with another that lacks it may have been chosen',
    size: 4,
    known: '7 5d',
    want: 'maybe 7',
  },
  { name: 'one of three cannot have been chosen', size: 4, known: '7 5d 5', want: 'value 5' },
  { name: 'two of four when all spoke cannot have been chosen', size: 4, known: '7 7 5d 5', want: 'value 5' },
  { name: 'a newer one lies over an older one that was chosen', size: 4, known: '9>7>5d 7 7 5d', want: 'value 7' },
  {
    name: 'three writers got half-way, each on another drive, over a value that was chosen',
    size: 4,
    known: '10>6d 9>6 8>6',
    want: 'value 6',
  },
  {
    name: 'a value carried on counts under the ballot it was first accepted with',
    size: 4,
    known: '9>7>5d 7>5d 5d',
    want: 'maybe 7 complete',
  },
  { name: 'one that was never written is judged like the others', size: 4, known: '7 0 0 0', want: 'value 0' },
  {
    name: 'a tombstone that cannot have been chosen is passed over too',
    size: 8,
    known: '7t 5 5 5 5 5',
    want: 'value 5',
  },
  {
    name: 'a tombstone that may have been chosen is complete',
    size: 8,
    known: '7t 7t 5 5 5',
    want: 'maybe 7 complete',
  },
  { name: 'too few shards heard of what may have been chosen', size: 8, known: '7 7 5 5 5', want: 'maybe 7' },
  { name: 'a decided value below an impossible one', size: 4, known: '9 5d 5d 5d', want: 'value 5' },
  { name: 'two writers, none chosen, the value before stands', size: 4, known: '9 8 5d 5', want: 'value 5' },
];

for (const { name, size, known, want } of cases) {
  test(`judge: ${name} (${known} of ${size})`, () => {
    const found = judge(known.split(' ').map(layers), size);
    const text =
      found.kind === 'value' ? `value ${found.ballot}` : `maybe ${found.ballot}${found.complete ? ' complete' : ''}`;
    assert.equal(text, want);
  });
}

test('judge: what a write quorum accepted is never passed over by any N/2 of the drives', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(4, 8, 12, 16),
      fc.integer({ min: 0, max: 3 }),
      fc.infiniteStream(fc.nat(1_000)),
      (size, newer, chance) => {
        // Ballot 10 was chosen; afterwards a few drives accepted a newer one that was not.
        const next = (below: number): number => chance.next().value! % below;
        const order = Array.from({ length: size }, (_, i) => i).sort(() => next(2) - 0.5);
        const drives = Array.from({ length: size }, () => '5d');
        for (const i of order.slice(0, writeQuorum(size))) drives[i] = '10>5d';
        for (let i = 0; i < newer; i++) {
          const at = next(size);
          drives[at] = `${20 + i}>${drives[at]}`;
        }
        const heard = [...drives].sort(() => next(2) - 0.5).slice(0, readQuorum(size) + next(readQuorum(size) + 1));
        const found = judge(heard.map(layers), size);
        assert.ok(found.ballot >= 10, `judged ${found.kind} ${found.ballot}`);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('judge: a drive that was looked at late, and shows nothing of an older value, may have had it; one that promised has not', () => {
  // Three accepted 7; before the last one was asked, 20 was written on others and 30 was accepted by it, made from 20.
  const known = ['7', '7', '5d', '30'].map(layers);
  const late = judge(known, 4, false);
  assert.deepEqual([late.kind, late.ballot], ['maybe', 7]);
  const promised = judge(known, 4);
  assert.deepEqual([promised.kind, promised.ballot], ['value', 5]);
  const decided = judge(['7', '7', '5d', '30>20d'].map(layers), 4, false);
  assert.deepEqual([decided.kind, decided.ballot], ['value', 20]);
});
