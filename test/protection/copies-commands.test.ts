/** The commands about the copies that an estate names. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import type { CopyResult } from '../../workflows/engine/copying.ts';
import { keysOf, openCopies, type CopiesWorld } from './support/copies.ts';
import { writeEstate } from './support/estate.ts';

let copies: CopiesWorld;
before(async () => {
  copies = await openCopies();
});
after(() => copies?.[Symbol.asyncDispose]());

async function muster(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const program = path.join(import.meta.dirname, '../../cli/main.ts');
  const env = {
    ...process.env,
    MUSTER_ESTATE: path.join(copies.world.dir, 'muster.yaml'),
    MUSTER_LEDGER_URL: copies.world.ledgerUrl,
    TEMPORAL_ADDRESS: copies.world.temporal.address,
    NO_COLOR: '1',
  };
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], {
      env,
      cwd: copies.world.dir,
    });
    return { code: 0, out: stdout, err: stderr };
  } catch (err) {
    const { code, stdout, stderr } = err as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

test('the commands plan, copy, watch, stop and schedule what the estate names', async () => {
  const { to } = await copies.pairWith('named', 5);
  // Far more than is copied at one request a second before it is stopped.
  await copies.pairWith('slow', 100);
  const named = {
    named: { from: copies.addressOf('named-from'), to: 'env:NAMED_TO', delete: true, at: '02:30' },
    slow: {
      from: copies.addressOf('slow-from'),
      to: `${copies.addressOf('slow-to')}&prefix=slow`,
      requests: '1',
      measure: false,
    },
  };
  const file = parse(readFileSync(writeEstate(copies.world.dir), 'utf8')) as object;
  writeFileSync(path.join(copies.world.dir, 'muster.yaml'), stringify({ ...file, copies: named }));
  const planned = await muster('copies', 'plan', 'named');
  assert.equal(planned.code, 0, planned.out + planned.err);
  assert.match(planned.out, /done named in .*: 5 to copy or move \(9\.8 KiB\)/);
  assert.match(planned.out, /would-copy "k004"/);
  assert.deepEqual(await keysOf(to), []);
  const done = await muster('copies', 'start', 'named', '--by', 'Li', '--json');
  assert.equal(done.code, 0, done.err);
  assert.equal((JSON.parse(done.out) as CopyResult).counts.copied, 5);
  const slow = await muster('copies', 'start', 'slow', '--detach');
  assert.equal(slow.code, 0, slow.err);
  const status = await muster('copies', 'status');
  assert.match(status.out, /named {2}not under way; the last was done .* ago: 5 copied/);
  assert.match(status.out, /slow {2}(copying|under way)/);
  const stopped = await muster('copies', 'stop', 'slow');
  assert.equal(stopped.code, 0, stopped.err);
  const { status: ended } = await copies.world.temporal.client.workflow.getHandle('copy/slow').describe();
  assert.equal(ended.name, 'CANCELLED');
  const applied = await muster('apply');
  assert.equal(applied.code, 0, applied.err);
  assert.match(applied.out, /\+ copy\/named {2}to create, daily/);
});
