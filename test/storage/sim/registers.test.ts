import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintOf, kinds } from './kinds.ts';
import { simulationTests } from './suite.ts';

simulationTests('registers', 120);

test('not any more: a drive that is slow to be asked lets a reader pass over what it had and has let go of', async () => {
  const result = await kinds.registers(2_016_464);
  assert.equal(result.violation, undefined, complaintOf('registers', result));
});
