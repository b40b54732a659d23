/** Which WAL no kept base backup can want, and how WAL is sealed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { unneededWal } from '../../activities/backup/postgres/expire-wal.ts';
import { reachOn } from '../../activities/backup/postgres/reach.ts';
import { openWal, sealWal } from '../../activities/backup/postgres/sealed-wal.ts';
import { mapWal } from '../../activities/backup/postgres/wal-gaps.ts';
import { segmentName, segmentStart } from '../../activities/backup/postgres/wal-name.ts';
import { createSealer, randomMasterKey } from '../../activities/backup/repository/sealing.ts';
import { formatLsn } from '../../activities/drivers/postgres/lsn.ts';

const segmentBytes = 16 << 20;
const seg = (timeline: number, segment: number): string => segmentName(timeline, segment, segmentBytes);
const at = (segment: number, offset = 40): string => formatLsn(segmentStart(segment, segmentBytes) + BigInt(offset));

const cases: [what: string, names: string[], starts: string[], unneeded: string[]][] = [
  ['what lies before the backup', [seg(1, 1), seg(1, 2), seg(1, 3)], [at(2)], [seg(1, 1)]],
  ['what lies before the oldest of several', [seg(1, 1), seg(1, 2), seg(1, 3)], [at(3), at(2)], [seg(1, 1)]],
  ['nothing without a backup', [seg(1, 1), seg(1, 2)], [], []],
  ['nothing when a start is not understood', [seg(1, 1), seg(1, 2)], [at(2), 'soon'], []],
  ['no segment in which a backup begins', [seg(1, 2)], [at(2, 16_000_000)], []],
  ['older WAL of every timeline', [seg(1, 1), seg(2, 1), seg(2, 2)], [at(2)], [seg(1, 1), seg(2, 1)]],
  ['no WAL of a branch that was given up later', [seg(1, 1), seg(1, 5), seg(2, 5)], [at(2)], [seg(1, 1)]],
  ['no history, however old', ['00000002.history', seg(1, 1)], [at(9)], [seg(1, 1)]],
  ['old partial segments', [`${seg(1, 1)}.partial`, `${seg(1, 4)}.partial`], [at(4)], [`${seg(1, 1)}.partial`]],
  ['marks of old backups', [`${seg(1, 1)}.00000028.backup`], [at(4)], [`${seg(1, 1)}.00000028.backup`]],
  ['nothing that is no WAL', ['archive.json', 'notes'], [at(4)], []],
];
for (const [what, names, starts, unneeded] of cases) {
  test(`of an archive is not needed: ${what}`, () => {
    assert.deepEqual(unneededWal(names, starts, segmentBytes), unneeded);
  });
}

test('every base backup that is kept leads as far after WAL was removed as before', () => {
  const segments = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 20 });
  const starts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(segments, segments, fc.integer({ min: 2, max: 19 }), starts, (first, second, fork, kept) => {
      const names = [...first.map((one) => seg(1, one)), ...second.map((one) => seg(2, one)), '00000002.history'];
      const histories = new Map([[2, `1\t${at(fork)}\tpromoted\n`]]);
      const points = kept.map((segment) => ({
        ...{ timeline: 1, startLsn: at(segment), endLsn: at(segment, 500), hasWal: true, endedAtMs: 0 },
      }));
      const gone = new Set(
        unneededWal(
          names,
          points.map(({ startLsn }) => startLsn),
          segmentBytes,
        ),
      );
      const before = mapWal({ names, histories, segmentBytes });
      const after = mapWal({ names: names.filter((name) => !gone.has(name)), histories, segmentBytes });
      for (const point of points) {
        for (const timeline of [1, 2]) {
          assert.equal(reachOn(after, point, timeline)?.toLsn, reachOn(before, point, timeline)?.toLsn);
        }
      }
    }),
  );
});

test('sealed WAL opens under its own name with its own key, as it was, and any changed byte is noticed', async () => {
  const [sealer, other] = [createSealer(randomMasterKey()), createSealer(randomMasterKey())];
  const name = seg(1, 1);
  const contents = [Buffer.alloc(0), Buffer.alloc(100_000), randomBytes(70_000), Buffer.from('x')];
  for (const bytes of contents) {
    const sealed = await sealWal(sealer, name, bytes);
    const opened = await openWal(sealer, name, sealed);
    assert.ok(opened.kind === 'whole' && opened.bytes.equals(bytes));
    assert.equal((await openWal(sealer, seg(1, 2), sealed)).kind, 'damaged');
    assert.equal((await openWal(other, name, sealed)).kind, 'damaged');
    for (const place of [0, 16, 30, sealed.length - 1]) {
      const changed = Uint8Array.from(sealed);
      changed[place] = (changed[place] ?? 0) ^ 1;
      assert.equal((await openWal(sealer, name, changed)).kind, 'damaged', String(place));
    }
  }
});
