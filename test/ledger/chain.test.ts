import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, storableText } from '../../worker/ledger/canonical.ts';
import {
  eventHash,
  sealHash,
  verifyChainExport,
  type ChainExport,
  type ChainVerdict,
  type EventRow,
} from '../../worker/ledger/chain.ts';
import { sealedExport } from './fixtures.ts';

const length = 12;
const whole = sealedExport(length);

test('a run that nobody touched verifies and its head is the seal', () => {
  assert.deepEqual(verifyChainExport(whole), { ok: true, events: length, head: whole.sealHash, sealed: true });
});

test('a run still going verifies up to its last event', () => {
  const going = { ...whole, final: null, sealHash: null };
  assert.deepEqual(verifyChainExport(going), { ok: true, events: length, head: whole.head.hash, sealed: false });
});

test('an export that went through a file verifies', () => {
  assert.equal(verifyChainExport(JSON.parse(JSON.stringify(whole)) as ChainExport).ok, true);
});

/** Changes the events so that they differ from the original. */
type Tamper = (events: EventRow[]) => EventRow[];

const position = fc.nat({ max: length - 1 });
const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
const field = fc.oneof(
  fc.record({ what: fc.string({ minLength: 1 }) }),
  fc.record({ stepId: fc.option(fc.string()) }),
  fc.record({ atMs: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
  fc.record({ seq: fc.integer() }),
  fc.record({ hash: hex }),
  fc.record({ prevHash: hex }),
  fc.record({ data: fc.dictionary(fc.string(), fc.jsonValue()) }) as fc.Arbitrary<Partial<EventRow>>,
);
const tamper: fc.Arbitrary<Tamper> = fc.oneof(
  fc.tuple(position, field).map<Tamper>(
    ([at, change]) =>
      (e) =>
        e.map((row, i) => (i === at ? { ...row, ...change } : row)),
  ),
  fc.tuple(position, position).map<Tamper>(
    ([at, count]) =>
      (e) =>
        e.toSpliced(at, count + 1),
  ),
  fc.tuple(position, position).map<Tamper>(
    ([a, b]) =>
      (e) =>
        swap(e, a, b),
  ),
  fc.tuple(position, position).map<Tamper>(
    ([from, to]) =>
      (e) =>
        e.toSpliced(to, 0, e[from] as EventRow),
  ),
  fc.shuffledSubarray([...Array(length).keys()]).map<Tamper>((order) => (e) => order.map((i) => e[i] as EventRow)),
  fc.tuple(position, field).map<Tamper>(
    ([at, change]) =>
      (e) =>
        rehashed(e, at, change),
  ),
);

function swap(events: EventRow[], a: number, b: number): EventRow[] {
  return events.with(a, events[b] as EventRow).with(b, events[a] as EventRow);
}

/** The careful forger: changes one event and gives it a hash that fits its new content. */
function rehashed(events: EventRow[], at: number, change: Partial<EventRow>): EventRow[] {
  const row = { ...(events[at] as EventRow), ...change };
  return events.with(at, { ...row, hash: eventHash(whole.runId, row.prevHash, row) });
}

test('every edit, cut, swap, copy and re-order of events is found', () => {
  const property = fc.property(tamper, (change) => {
    const events = change(structuredClone(whole.events));
    fc.pre(canonicalJson(events) !== canonicalJson(whole.events));
    assert.equal(verifyChainExport({ ...whole, events }).ok, false);
  });
  fc.assert(property, { numRuns: 600 });
});

const elsewhere: { name: string; change: Partial<ChainExport>; seq: number }[] = [
  { name: 'another plan', change: { plan: { ...whole.plan, from: 'beijing' } }, seq: 1 },
  { name: 'another estate', change: { estateHash: 'f'.repeat(64) }, seq: 1 },
  { name: 'the id of another run', change: { runId: 'failover-shop-2' }, seq: 1 },
  { name: 'a head that claims more events', change: { head: { ...whole.head, seq: length + 1 } }, seq: length + 1 },
  { name: 'a head with another hash', change: { head: { seq: length, hash: '0'.repeat(64) } }, seq: length },
  { name: 'another final state', change: { final: { ...whole.final!, waitedForPeopleMs: 1 } }, seq: length + 1 },
  { name: 'a final state without its seal', change: { sealHash: null }, seq: length + 1 },
  { name: 'a seal without its final state', change: { final: null }, seq: length + 1 },
  { name: 'a cut tail', change: { events: whole.events.slice(0, -1) }, seq: length },
  { name: 'no events at all', change: { events: [] }, seq: 1 },
];
for (const { name, change, seq } of elsewhere) {
  test(`verification names the first bad place: ${name}`, () => {
    const verdict = verifyChainExport({ ...whole, ...change });
    assert.equal(verdict.ok, false);
    assert.equal((verdict as Extract<ChainVerdict, { ok: false }>).seq, seq);
  });
}

test('whoever forges the whole chain ends at another seal', () => {
  const forged = { ...whole.final!, waitedForPeopleMs: 1 };
  const verdict = verifyChainExport({ ...whole, final: forged, sealHash: sealHash(whole.head.hash, forged) });
  assert.ok(verdict.ok);
  assert.notEqual(verdict.head, whole.sealHash);
});

test('canonical JSON does not depend on the order of keys and reads back as the same value', () => {
  const property = fc.property(fc.jsonValue(), (value) => {
    const text = canonicalJson(value);
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
    assert.equal(canonicalJson(reversedKeys(value)), text);
  });
  fc.assert(property, { numRuns: 300 });
});

function reversedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversedKeys);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reversedKeys(item)]),
  );
}

test('canonical JSON sorts keys by code units and leaves undefined out', () => {
  assert.equal(canonicalJson({ b: 1, a: undefined, ä: [undefined, NaN], A: '"' }), '{"A":"\\"","b":1,"ä":[null,null]}');
});

test('storable text keeps what a database can keep and marks the rest', () => {
  assert.equal(storableText('第二 a\u0000b \ud83d \ud83d\ude00'), '第二 a\ufffdb \ufffd \ud83d\ude00');
});
