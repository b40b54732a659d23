import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planPrune, type PackUse } from '../../activities/backup/engine/prune-plan.ts';

const pack = (name: string, usedBytes: number, unusedBytes: number, type: PackUse['type'] = 'data'): PackUse => ({
  ...{ name, type, usedBytes, unusedBytes },
});

const table: [string, PackUse[], number, { remove: string[]; repack: string[]; keep: string[] }][] = [
  ['nothing there', [], 5, { remove: [], repack: [], keep: [] }],
  ['all needed', [pack('a', 9, 0)], 0, { remove: [], repack: [], keep: ['a'] }],
  ['none needed', [pack('a', 0, 9)], 100, { remove: ['a'], repack: [], keep: [] }],
  ['little waste, some allowed', [pack('a', 99, 1)], 5, { remove: [], repack: [], keep: ['a'] }],
  ['little waste, none allowed', [pack('a', 99, 1)], 0, { remove: [], repack: ['a'], keep: [] }],
  ['the worst first', [pack('a', 90, 10), pack('b', 10, 90)], 40, { remove: [], repack: ['b'], keep: ['a'] }],
  ['mixed packs are taken apart', [pack('a', 9, 0, 'mixed')], 100, { remove: [], repack: ['a'], keep: [] }],
];

for (const [name, packs, percent, expected] of table) {
  test(`prune plan: ${name}`, () => {
    const { remove, repack, keep } = planPrune(packs, percent);
    assert.deepEqual({ remove, repack, keep }, expected);
  });
}

test('every pack has one fate, what is needed is never removed, and the allowed share holds', () => {
  const use = fc.record({ used: fc.nat(1000), unused: fc.nat(1000) }).filter(({ used, unused }) => used + unused > 0);
  fc.assert(
    fc.property(fc.array(use, { maxLength: 40 }), fc.integer({ min: 0, max: 99 }), (uses, percent) => {
      const packs = uses.map(({ used, unused }, i) => pack(String(i), used, unused));
      const plan = planPrune(packs, percent);
      assert.deepEqual([...plan.remove, ...plan.repack, ...plan.keep].toSorted(), packs.map((p) => p.name).toSorted());
      const of = (names: string[]): PackUse[] => packs.filter((p) => names.includes(p.name));
      assert.ok(of(plan.remove).every(({ usedBytes }) => usedBytes === 0));
      const unused = of(plan.keep).reduce((sum, p) => sum + p.unusedBytes, 0);
      const used = packs.reduce((sum, p) => sum + p.usedBytes, 0);
      assert.equal(plan.unusedAfterBytes, unused);
      assert.ok(unused <= ((used + unused) * percent) / 100 + 1e-6);
    }),
  );
});
