import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compile } from '../../runbooks/compile.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import { canonicalJson, hashEstate, hashPlan, verifyPlanHash } from '../../runbooks/hash.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import { testCatalogue as catalogue } from '../support/catalogue.ts';
import { estateText, shopEstate } from '../support/estates.ts';

const base = { estate: shopEstate(), service: 'shop', epoch: 7, catalogue };

test('the hash is of the content: it survives a copy and a change of key order, and no change of a value', () => {
  const plan = compile({ ...base, kind: 'failover', mode: 'ungraceful' });
  const reversed = Object.fromEntries(Object.entries(plan).reverse()) as unknown as Plan;
  assert.match(plan.hash, /^[0-9a-f]{64}$/);
  assert.equal(hashPlan(reversed), plan.hash);
  verifyPlanHash(structuredClone(plan));
  for (const changed of [
    { ...plan, epoch: 8 },
    { ...plan, steps: plan.steps.slice(1) },
    { ...plan, hash: '0'.repeat(64) },
  ])
    assert.throws(() => verifyPlanHash(changed), { code: 'PLAN_CHANGED' });
});

test('an estate has the same hash under another file name, and another one when it says something else', () => {
  const text = estateText({});
  const hash = hashEstate(parseEstate(text, 'muster.yaml', catalogue));
  assert.equal(hashEstate(parseEstate(text, 'copy.yaml', catalogue)), hash);
  assert.notEqual(hashEstate(parseEstate(estateText({ level: '5' }), 'muster.yaml', catalogue)), hash);
});

test('canonical JSON is JSON, equal for equal data whatever the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      const shuffled: unknown = JSON.parse(text, (_, item: unknown) =>
        typeof item === 'object' && item !== null && !Array.isArray(item)
          ? Object.fromEntries(Object.entries(item).reverse())
          : item,
      );
      assert.equal(canonicalJson(shuffled), text);
    }),
  );
  assert.throws(() => canonicalJson({ a: Number.NaN }), { code: 'INTERNAL' });
});
