/** WAL as names and positions: what an archive has, what it lacks, and where that leads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseBackup, reachable, reachOn, type BackupPoint } from '../../activities/backup/postgres/reach.ts';
import type { RecoveryTarget } from '../../activities/backup/postgres/recovery-target.ts';
import { endOfArchive, streamStart } from '../../activities/backup/postgres/stream-position.ts';
import { TimelineTree } from '../../activities/backup/postgres/timeline-tree.ts';
import { divergedWal, mapWal, walRanges, type WalMap } from '../../activities/backup/postgres/wal-gaps.ts';
import {
  historyName,
  parseWalName,
  segmentAt,
  segmentBefore,
  segmentName,
  segmentStart,
} from '../../activities/backup/postgres/wal-name.ts';
import { formatLsn, parseLsn } from '../../activities/drivers/postgres/lsn.ts';

const segmentBytes = 16 << 20;
const seg = (timeline: number, segment: number): string => segmentName(timeline, segment, segmentBytes);
const at = (segment: number, offset = 0): string => formatLsn(segmentStart(segment, segmentBytes) + BigInt(offset));

const names: [name: string, parsed: ReturnType<typeof parseWalName>][] = [
  ['000000010000000000000001', { kind: 'segment', timeline: 1, segment: 1 }],
  ['0000000200000001000000FF', { kind: 'segment', timeline: 2, segment: 511 }],
  ['000000010000000000000001.partial', { kind: 'partial', timeline: 1, segment: 1 }],
  ['0000000A.history', { kind: 'history', timeline: 10 }],
  ['000000010000000000000002.00000028.backup', { kind: 'backup', timeline: 1, segment: 2, offset: 0x28 }],
  ['000000010000000000000100', null], // with segments of 16 MB the last part goes up to FF
  ['000000000000000000000001', null],
  ['00000001000000000000000a', null],
  ['000000010000000000000001.done', null],
  ['archive.json', null],
];
for (const [name, parsed] of names) {
  test(`${name} is read as ${parsed?.kind ?? 'no name of WAL'}`, () => {
    assert.deepEqual(parseWalName(name, segmentBytes), parsed);
  });
}

test('a segment has one name, whatever its size, and the name tells where it lies', () => {
  const sizes = fc.integer({ min: 20, max: 30 }).map((bits) => 2 ** bits);
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 0xffffffff }),
      fc.bigInt({ min: 0n, max: 1n << 60n }),
      (size, timeline, lsn) => {
        const segment = segmentAt(lsn, size);
        assert.deepEqual(parseWalName(segmentName(timeline, segment, size), size), {
          kind: 'segment',
          timeline,
          segment,
        });
        assert.ok(segmentStart(segment, size) <= lsn && lsn < segmentStart(segment + 1, size));
        assert.ok(segmentBefore(lsn + 1n, size) === segment);
      },
    ),
  );
});

/** Timeline 2 left 1 in segment 5, timeline 3 left 2 in segment 8, timeline 4 left 1 in segment 6. */
const histories = new Map([
  [2, `1\t${at(5, 0x500)}\tno recovery target specified\n`],
  [3, `1\t${at(5, 0x500)}\tx\n\n2\t${at(8, 0x800)}\tx\n`],
  [4, `1\t${at(6, 0x600)}\tx\n`],
]);
const tree = new TimelineTree(histories);

const forks: [one: number, other: number, timeline: number, lsn: string | null][] = [
  [1, 1, 1, null],
  [1, 2, 1, at(5, 0x500)],
  [2, 3, 2, at(8, 0x800)],
  [2, 4, 1, at(5, 0x500)],
  [3, 4, 1, at(5, 0x500)],
];
for (const [one, other, timeline, lsn] of forks) {
  test(`timelines ${one} and ${other} parted on ${timeline} at ${lsn ?? 'no place'}`, () => {
    for (const found of [tree.forkOf(one, other), tree.forkOf(other, one)]) {
      assert.deepEqual(found, { timeline, lsn: parseLsn(lsn) });
    }
  });
}

test('a position after a fork belongs to one branch, one before it to all that came of it', () => {
  const lsnOf = (text: string): bigint => parseLsn(text) ?? 0n;
  assert.deepEqual(tree.timelinesWith(1, lsnOf(at(3))), [1, 2, 3, 4]);
  assert.deepEqual(tree.timelinesWith(1, lsnOf(at(5, 0x500))), [1, 4]);
  assert.deepEqual(tree.timelinesWith(1, lsnOf(at(7))), [1]);
  assert.deepEqual(tree.timelinesWith(2, lsnOf(at(5, 0x500))), [2, 3]);
  assert.deepEqual(tree.timelinesWith(2, lsnOf(at(9))), [2]);
  assert.equal(tree.forkOf(1, 9), null);
  assert.deepEqual(tree.parentOf(3), { timeline: 2, forkLsn: lsnOf(at(8, 0x800)) });
});

/** `1: 2-5 7 8p` = timeline 1 has segments 2 to 5 and 7, and a part of 8. */
function archive(text: string): WalMap {
  const found: string[] = [];
  for (const line of text.split(';')) {
    const [timeline, parts = ''] = line.split(':');
    for (const part of parts.trim().split(/\s+/).filter(Boolean)) {
      const [from = 0, to = from] = part.replace('p', '').split('-').map(Number);
      for (let one = from; one <= to; one++)
        found.push(seg(Number(timeline), one) + (part.endsWith('p') ? '.partial' : ''));
    }
  }
  const used = [...histories].filter(([timeline]) => text.includes(`${timeline}:`));
  return mapWal({ names: found, histories: new Map(used), segmentBytes });
}

const ranges: [archive: string, server: [timeline: number, lsn: string] | null, verdicts: string][] = [
  ['1: 2-5', null, '1 found 2-5'],
  ['1: 2-5 7', null, '1 found 2-5, 1 lost 6-6, 1 found 7-7'],
  ['1: 2-3 8p', null, '1 found 2-3, 1 lost 4-7, 1 partial 8-8'],
  ['1: 2-3 4p', null, '1 found 2-3, 1 partial 4-4'],
  ['1: 2-3 3p', null, '1 found 2-3'],
  ['1: 2-5', [1, at(6, 1)], '1 found 2-5'],
  ['1: 2-5', [1, at(9, 1)], '1 found 2-5, 1 delayed 6-8'],
  ['1: 2-5', [2, at(9, 1)], '1 found 2-5'],
  ['1: 2-4 5p; 2: 5-6', null, '1 found 2-4, 1 partial 5-5, 2 found 5-6'],
  ['1: 2-4; 2: 6-7', null, '1 found 2-4, 2 lost 5-5, 2 found 6-7'],
  ['1: 2-3; 2: 5', null, '1 found 2-3, 1 lost 4-4, 2 found 5-5'],
  ['7: 3-4', null, '7 found 3-4'],
];
for (const [text, server, verdicts] of ranges) {
  test(`an archive with ${text}${server === null ? '' : ` of a server at ${server.join(' ')}`}: ${verdicts}`, () => {
    const position = server === null ? null : { timeline: server[0], lsn: parseLsn(server[1]) ?? 0n };
    const found = walRanges(archive(text), position).map(({ timeline, kind, fromName, toName }) => {
      const [from, to] = [fromName, toName].map((name) => parseWalName(name, segmentBytes));
      assert.ok(from?.kind === 'segment' && to?.kind === 'segment');
      return `${timeline} ${kind} ${from.segment}-${to.segment}`;
    });
    assert.equal(found.join(', '), verdicts);
  });
}

test('segments of an archive are found or lost, each once, and what is there is never called lost', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (segments) => {
      const map = mapWal({ names: segments.map((one) => seg(1, one)), histories: new Map(), segmentBytes });
      const seen = new Map<number, string>();
      for (const { kind, fromName, segments: count } of walRanges(map)) {
        const from = parseWalName(fromName, segmentBytes);
        assert.ok(from?.kind === 'segment');
        for (let one = from.segment; one < from.segment + count; one++) {
          assert.equal(seen.has(one), false);
          seen.set(one, kind);
        }
      }
      const [first, last] = [Math.min(...segments), Math.max(...segments)];
      assert.equal(seen.size, last - first + 1);
      for (const [one, kind] of seen) assert.equal(kind, segments.includes(one) ? 'found' : 'lost');
    }),
  );
});

test('what only a former primary wrote is named, with where it parted', () => {
  assert.deepEqual(divergedWal(archive('1: 2-6 7p; 2: 5-6')), [
    { timeline: 1, without: 2, forkLsn: parseLsn(at(5, 0x500)), newestName: seg(1, 7) },
  ]);
  assert.deepEqual(divergedWal(archive('1: 2-4; 2: 5-6')), []);
});

const backup = (timeline: number, segment: number, changes: Partial<BackupPoint> = {}): BackupPoint => ({
  timeline,
  startLsn: at(segment, 0x28),
  endLsn: at(segment, 0x120),
  hasWal: false,
  endedAtMs: segment * 1000,
  ...changes,
});

const reaches: [archive: string, backup: BackupPoint, verdicts: string][] = [
  ['1: 2-5', backup(1, 2), `1 to ${at(6)}`],
  ['1: 2-5', backup(1, 6), ''],
  ['1: 2-5', backup(1, 6, { hasWal: true }), `1 to ${at(6, 0x120)}`],
  ['1: 2-5 7-9', backup(1, 2), `1 to ${at(6)} gap ${seg(1, 6)}`],
  ['1: 2-5 7-9', backup(1, 7), `1 to ${at(10)}`],
  ['1: 2-5 6p', backup(1, 3), `1 to ${at(6)} partial ${seg(1, 6)}.partial`],
  ['1: 2-4 5p', backup(1, 5), `1 to ${at(5, 0x120)} partial ${seg(1, 5)}.partial`],
  ['1: 2-4 5p; 2: 5-6', backup(1, 3), `1 to ${at(5)} partial ${seg(1, 5)}.partial, 2 to ${at(7)}`],
  ['1: 2-5; 2: 6-7', backup(1, 3), `1 to ${at(6)}, 2 to ${at(5, 0x500)} gap ${seg(2, 5)}`],
  ['1: 2-5; 2:', backup(1, 3), `1 to ${at(6)}, 2 to ${at(5, 0x500)}`],
  ['1: 2-3; 2: 5-7', backup(1, 3), `1 to ${at(4)}, 2 to ${at(4)} gap ${seg(1, 4)}`],
  ['1: 2-4; 2: 5-7; 3: 8-9', backup(1, 3), `1 to ${at(5)}, 2 to ${at(8)}, 3 to ${at(10)}`],
  ['1: 2-7; 2: 5-7', backup(1, 6), `1 to ${at(8)}`],
  ['1: 2-7; 2: 5-7', backup(2, 6), `2 to ${at(8)}`],
  ['1: 2-7; 2: 5-7', backup(1, 5), `1 to ${at(8)}, 2 to ${at(8)}`],
  ['1: 2-7; 2: 5-7', backup(1, 5, { endLsn: at(5, 0x600) }), `1 to ${at(8)}`],
];
for (const [text, point, verdicts] of reaches) {
  test(`with ${text} a backup of timeline ${point.timeline} from ${point.startLsn} leads ${verdicts || 'nowhere'}`, () => {
    const found = reachable(archive(text), point).map(
      ({ timeline, toLsn, partial, gap }) =>
        `${timeline} to ${toLsn}${partial === null ? '' : ` partial ${partial}`}${gap === null ? '' : ` gap ${gap}`}`,
    );
    assert.equal(found.join(', '), verdicts);
  });
}

test('without a segment in the middle a backup reaches that segment and no further', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 2, max: 20 }),
      fc.nat({ max: 18 }),
      (from, count, hole) => {
        const missing = from + 1 + (hole % (count - 1));
        const there = Array.from({ length: count + 1 }, (_, index) => from + index).filter((one) => one !== missing);
        const map = mapWal({ names: there.map((one) => seg(1, one)), histories: new Map(), segmentBytes });
        const reach = reachOn(map, backup(1, from), 1);
        assert.equal(reach?.toLsn, at(missing));
        assert.equal(reach.gap, missing === from + count ? null : seg(1, missing));
      },
    ),
  );
});

const latest: RecoveryTarget = { kind: 'latest', timeline: 'latest' };
const choices: [what: string, archive: string, backups: BackupPoint[], target: RecoveryTarget, chosen: string][] = [
  ['the newest for the latest state', '1: 2-9', [backup(1, 2), backup(1, 6)], latest, 'found 6 on 1'],
  ['the newest timeline', '1: 2-5; 2: 5-9', [backup(1, 2)], latest, 'found 2 on 2'],
  [
    'an older one, when asked by timeline',
    '1: 2-8; 2: 5-9',
    [backup(1, 2), backup(2, 6)],
    { ...latest, timeline: 1 },
    'found 2 on 1',
  ],
  [
    'the newest before a position',
    '1: 2-9',
    [backup(1, 2), backup(1, 6)],
    { kind: 'lsn', lsn: at(5), timeline: 'latest' },
    'found 2 on 1',
  ],
  [
    'the newest before a time',
    '1: 2-9',
    [backup(1, 2), backup(1, 6)],
    { kind: 'time', atMs: 5_999, timeline: 'latest' },
    'found 2 on 1',
  ],
  ['none before the first', '1: 2-9', [backup(1, 6)], { kind: 'time', atMs: 5_999, timeline: 'latest' }, 'unreachable'],
  ['none across a gap', '1: 2-4 6-9', [backup(1, 2)], latest, `gap ${seg(1, 5)}`],
  ['one behind the gap', '1: 2-4 6-9', [backup(1, 2), backup(1, 7)], latest, 'found 7 on 1'],
  [
    'one before the gap, for a position before it',
    '1: 2-4 6-9',
    [backup(1, 2), backup(1, 7)],
    { kind: 'lsn', lsn: at(4), timeline: 'latest' },
    'found 2 on 1',
  ],
  [
    'none for a position in the gap',
    '1: 2-4 6-9',
    [backup(1, 2), backup(1, 7)],
    { kind: 'lsn', lsn: at(5, 9), timeline: 'latest' },
    `gap ${seg(1, 5)}`,
  ],
  ['none behind the end', '1: 2-4', [backup(1, 2)], { kind: 'lsn', lsn: at(9), timeline: 'latest' }, 'unreachable'],
  ['none for a timeline nobody knows', '1: 2-4', [backup(1, 2)], { ...latest, timeline: 3 }, 'unreachable'],
  ['none of no backups', '1: 2-4', [], latest, 'unreachable'],
];
for (const [what, text, backups, target, chosen] of choices) {
  test(`for recovery is chosen ${what}`, () => {
    const choice = chooseBackup(archive(text), backups, target);
    if (choice.kind === 'found') {
      const { backup: one, reach } = choice;
      assert.equal(`found ${segmentAt(parseLsn(one.startLsn) ?? 0n, segmentBytes)} on ${reach.timeline}`, chosen);
    } else assert.equal(choice.kind === 'gap' ? `gap ${choice.missing}` : choice.kind, chosen);
  });
}

const ends: [names: string[], position: string | null][] = [
  [[], null],
  [[historyName(2)], null],
  [[seg(1, 4), seg(1, 5)], `1 ${at(6)}`],
  [[seg(1, 4), `${seg(1, 5)}.partial`], `1 ${at(5)}`],
  [[seg(1, 5), `${seg(1, 5)}.partial`], `1 ${at(6)}`],
  [[seg(1, 9), seg(2, 5)], `2 ${at(6)}`],
];
for (const [stored, position] of ends) {
  test(`WAL behind ${stored.join(', ') || 'nothing'} goes on at ${position ?? 'no known place'}`, () => {
    const end = endOfArchive(stored, segmentBytes);
    assert.equal(end === null ? null : `${end.timeline} ${formatLsn(end.lsn)}`, position);
  });
}

const serverHistory = {
  systemId: '7',
  timelines: [
    { timeline: 1, endLsn: at(5, 0x500) },
    { timeline: 2, endLsn: at(8, 0x800) },
    { timeline: 3, endLsn: null },
  ],
};
const starts: [what: string, timeline: number, lsn: string, start: string][] = [
  ['in the middle of a timeline that was left', 1, at(4), `1 ${at(4)}`],
  ['in the segment in which it was left', 1, at(5), `1 ${at(5)}`],
  ['behind the place where it was left', 1, at(6), `2 ${at(5)}`],
  ['on the timeline of now', 3, at(20), `3 ${at(20)}`],
  ['on one the server never had', 4, at(4), 'stranger'],
];
for (const [what, timeline, lsn, wanted] of starts) {
  test(`an archive that ends ${what} is taken up at ${wanted}`, () => {
    const start = streamStart({ timeline, lsn: parseLsn(lsn) ?? 0n }, serverHistory, segmentBytes);
    assert.equal(
      start.kind === 'at' ? `${start.position.timeline} ${formatLsn(start.position.lsn)}` : start.kind,
      wanted,
    );
  });
}
