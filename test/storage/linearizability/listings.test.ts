import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Operation } from './history.ts';
import { checkListings, type Listing } from './listings.ts';
import { del, delVersion, on, put } from './moves.ts';

const listing = (keys: string[], calledAt: number, returnedAt: number, upTo = '~'): Listing => ({
  client: 'l',
  keys,
  covers: (key) => key <= upTo,
  calledAt,
  returnedAt,
});

const bad: { name: string; history: Operation[]; listing: Listing; fault: RegExp }[] = [
  {
    name: 'an acknowledged key is missing',
    history: [on('a', put('x', [0, 1]))],
    listing: listing([], 2, 3),
    fault: /misses a/,
  },
  {
    name: 'an acknowledged key is missing while another one is being removed',
    history: [on('a', put('x', [0, 1])), on('b', put('y', [0, 1])), on('b', del([2, 9]))],
    listing: listing(['b'], 3, 4),
    fault: /misses a/,
  },
  {
    name: 'a removed key is shown',
    history: [on('a', put('x', [0, 1])), on('a', del([2, 3]))],
    listing: listing(['a'], 4, 5),
    fault: /shows a/,
  },
  {
    name: 'a key is shown before it was written',
    history: [on('a', put('x', [4, 5]))],
    listing: listing(['a'], 0, 1),
    fault: /shows a/,
  },
  {
    name: 'a key is shown that nobody wrote',
    history: [],
    listing: listing(['a'], 0, 1),
    fault: /nobody ever wrote/,
  },
  {
    name: 'a key comes twice',
    history: [on('a', put('x', [0, 1]))],
    listing: listing(['a', 'a'], 2, 3),
    fault: /shows a after a/,
  },
  {
    name: 'keys come in another order than that of their bytes',
    history: [on('b', put('x', [0, 1])), on('a', put('y', [0, 1]))],
    listing: listing(['b', 'a'], 2, 3),
    fault: /shows a after b/,
  },
  {
    name: 'a key past the end of the page is shown',
    history: [on('b', put('x', [0, 1]))],
    listing: listing(['b'], 2, 3, 'a'),
    fault: /not asked for/,
  },
  {
    name: 'a key written again after a removal is missing',
    history: [on('a', put('x', [0, 1])), on('a', del([2, 3])), on('a', put('y', [4, 5]))],
    listing: listing([], 6, 7),
    fault: /misses a/,
  },
];

const good: { name: string; history: Operation[]; listing: Listing }[] = [
  { name: 'an acknowledged key', history: [on('a', put('x', [0, 1]))], listing: listing(['a'], 2, 3) },
  { name: 'a key being written is shown', history: [on('a', put('x', [0, 9]))], listing: listing(['a'], 2, 3) },
  { name: 'a key being written is not shown', history: [on('a', put('x', [0, 9]))], listing: listing([], 2, 3) },
  {
    name: 'a key being removed is shown',
    history: [on('a', put('x', [0, 1])), on('a', del([2, 9]))],
    listing: listing(['a'], 3, 4),
  },
  {
    name: 'a key being removed is not shown',
    history: [on('a', put('x', [0, 1])), on('a', del([2]))],
    listing: listing([], 30, 40),
  },
  {
    name: 'a write and a removal overlapped: either came last',
    history: [on('a', put('x', [0, 5])), on('a', del([1, 4]))],
    listing: listing(['a'], 6, 7),
  },
  {
    name: 'a write of unknown end may take effect after a removal',
    history: [on('a', put('x', [0])), on('a', del([1, 2]))],
    listing: listing(['a'], 6, 7),
  },
  {
    name: 'a removed delete marker may bring the key back',
    history: [on('a', put('x', [0, 1], 'v1')), on('a', del([2, 3], 'm1')), on('a', delVersion('m1', [4, 5]))],
    listing: listing(['a'], 6, 7),
  },
  {
    name: 'a key past the end of the page',
    history: [on('b', put('x', [0, 1]))],
    listing: listing([], 2, 3, 'a'),
  },
];

for (const { name, history, listing: seen, fault } of bad) {
  test(`caught in a listing: ${name}`, () => {
    assert.match(checkListings(history, [seen]).join('\n'), fault);
  });
}
for (const { name, history, listing: seen } of good) {
  test(`accepted in a listing: ${name}`, () => {
    assert.deepEqual(checkListings(history, [seen]), []);
  });
}
