import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFeed, type FeedEntry, type FeedFacts } from './change-feed.ts';
import { del, delVersion, put, refused, tag } from './moves.ts';

const entry = (position: number, kind: FeedEntry['kind'], versionId: string, value?: string): FeedEntry => {
  return { position, kind, key: 'k', versionId, value };
};
const version = (versionId: string, value?: string): FeedFacts['versions'][number] => ({ key: 'k', versionId, value });

const first = put('a', [0, 1], 'v1');
const second = put('b', [2, 3], 'v2');
const good: FeedFacts = {
  operations: [first, second],
  feed: [entry(10, 'put', 'v1', 'a'), entry(20, 'put', 'v2', 'b')],
  followed: [],
  versions: [version('v2', 'b'), version('v1', 'a')],
};

const accepted: { name: string; facts: FeedFacts }[] = [
  { name: 'two writes in order', facts: good },
  {
    name: 'tags of versions, which make none',
    facts: {
      ...good,
      operations: [first, second, tag('t', [4, 5]), tag('u', [6, 7], 'v1')],
      feed: [...good.feed, entry(30, 'tags', 'v2', 'b'), entry(40, 'version-tags', 'v1', 'a')],
    },
  },
  {
    name: 'a write that somebody else completed is told twice',
    facts: { ...good, feed: [...good.feed, entry(30, 'put', 'v2', 'b')] },
  },
  { name: 'a follower who has not got to the end', facts: { ...good, followed: [[good.feed[0]!]] } },
  {
    name: 'a write of unknown end that happened',
    facts: { ...good, operations: [first, put('b', [2])] },
  },
  {
    name: 'a delete marker, and its removal',
    facts: {
      operations: [first, del([2, 3], 'm1'), delVersion('m1', [4, 5])],
      feed: [good.feed[0]!, entry(20, 'delete-marker', 'm1'), entry(30, 'delete-version', 'm1')],
      followed: [],
      versions: [version('v1', 'a')],
    },
  },
  {
    name: 'overlapping writes in either order',
    facts: {
      ...good,
      operations: [put('a', [0, 3], 'v1'), put('b', [1, 2], 'v2')],
      feed: [entry(10, 'put', 'v2', 'b'), entry(20, 'put', 'v1', 'a')],
      versions: [version('v1', 'a'), version('v2', 'b')],
    },
  },
  { name: 'a delete of nothing', facts: { operations: [del([0, 1])], feed: [], followed: [], versions: [] } },
];

const caught: { name: string; facts: FeedFacts; fault: RegExp }[] = [
  {
    name: 'an acknowledged write is not in it',
    facts: { ...good, feed: good.feed.slice(1) },
    fault: /not in the feed/,
  },
  {
    name: 'an acknowledged tag is not in it',
    facts: { ...good, operations: [...good.operations, tag('t', [4, 5])] },
    fault: /not in the feed/,
  },
  {
    name: 'a delete marker is not in it',
    facts: { ...good, operations: [...good.operations, del([4, 5], 'm1')] },
    fault: /not in the feed/,
  },
  {
    name: 'positions go back',
    facts: { ...good, feed: [entry(20, 'put', 'v1', 'a'), entry(10, 'put', 'v2', 'b')] },
    fault: /out of order/,
  },
  {
    name: 'two entries have one position',
    facts: { ...good, feed: [entry(10, 'put', 'v1', 'a'), entry(10, 'put', 'v2', 'b')] },
    fault: /out of order/,
  },
  {
    name: 'later writes come first',
    facts: { ...good, feed: [entry(10, 'put', 'v2', 'b'), entry(20, 'put', 'v1', 'a')] },
    fault: /before/,
  },
  {
    name: 'a follower was not given what lies behind where it got',
    facts: { ...good, followed: [[good.feed[1]!]] },
    fault: /missed/,
  },
  {
    name: 'it has what nobody wrote',
    facts: { ...good, feed: [...good.feed, entry(30, 'put', 'v3', 'c')] },
    fault: /nobody wrote/,
  },
  {
    name: 'it has what was refused',
    facts: {
      operations: [first, refused(put('b', [2, 3]))],
      feed: good.feed,
      followed: [],
      versions: [version('v1', 'a')],
    },
    fault: /nobody wrote/,
  },
  {
    name: 'it ends with other versions than there are',
    facts: { ...good, versions: [version('v1', 'a'), version('v2', 'b')] },
    fault: /the feed makes of k/,
  },
];

for (const { name, facts } of accepted) {
  test(`accepted of a change feed: ${name}`, () => {
    assert.deepEqual(checkFeed(facts), []);
  });
}
for (const { name, facts, fault } of caught) {
  test(`caught in a change feed: ${name}`, () => {
    assert.match(checkFeed(facts).join('\n'), fault);
  });
}
