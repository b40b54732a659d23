import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { choosePacks } from '../../activities/backup/engine/read-choice.ts';
import type { PackContents } from '../../activities/backup/engine/index-contents.ts';

function pack(name: string, bytes: number): PackContents {
  return {
    name,
    entries: [{ type: 'data', id: new Uint8Array(32), offset: 0, length: bytes, uncompressedLength: 0, slot: 0 }],
  };
}

const sizes = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 30 });

test('as long as the turns are kept, no pack gets older than the period, whatever is written meanwhile', () => {
  fc.assert(
    fc.property(
      ...[sizes, fc.array(fc.array(fc.integer({ min: 1, max: 1_000 }), { maxLength: 6 }), { maxLength: 40 })],
      fc.integer({ min: 1, max: 12 }),
      (first, later, turns) => {
        const [everyMs, periodMs] = [1_000, 1_000 * turns];
        const [verified, written] = [new Map<string, number>(), new Map<string, number>()];
        const packs: PackContents[] = [];
        const add = (bytes: number, nowMs: number): void => {
          packs.push(pack(`p${packs.length}`, bytes));
          written.set(packs.at(-1)!.name, nowMs);
        };
        for (const bytes of first) add(bytes, 0);
        for (let nowMs = 0, i = 0; i < later.length; i++, nowMs += everyMs) {
          for (const bytes of later[i]!) add(bytes, nowMs);
          for (const { name } of packs) {
            const ageMs = nowMs - (verified.get(name) ?? written.get(name)!);
            assert.ok(ageMs <= periodMs, `${name} is ${ageMs} ms old at turn ${i}`);
          }
          const chosen = choosePacks({ kind: 'turn', periodMs, everyMs }, packs, { verified, written, nowMs });
          for (const { name } of chosen) verified.set(name, nowMs);
        }
      },
    ),
  );
});

test('a turn reads its even share of the bytes and little more, those first that were read longest ago', () => {
  const packs = Array.from({ length: 30 }, (_, i) => pack(`p${String(i).padStart(2, '0')}`, 100));
  const nowMs = 1_000_000;
  const verified = new Map(packs.map(({ name }, i) => [name, nowMs - i * 10]));
  const chosen = choosePacks({ kind: 'turn', periodMs: 30_000, everyMs: 1_000 }, packs, { verified, nowMs });
  assert.deepEqual(
    chosen.map(({ name }) => name),
    ['p29'],
  );
});

test('a reading that lies in the future does not count', () => {
  const packs = [pack('wrong clock', 100), pack('right', 100)];
  const verified = new Map([
    ['wrong clock', 9_000],
    ['right', 900],
  ]);
  const chosen = choosePacks({ kind: 'turn', periodMs: 20_000, everyMs: 10_000 }, packs, { verified, nowMs: 1_000 });
  assert.deepEqual(
    chosen.map(({ name }) => name),
    ['wrong clock'],
  );
});
