import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { WalSpool } from '../../../activities/backup/postgres/wal-spool.ts';
import type { WalSupply } from '../../../activities/backup/postgres/wal-supply.ts';

const missing = '000000010000000000000009';
const present = '000000010000000000000001';

/** Has one segment and no other. */
const supply = {
  get: (name: string) =>
    Promise.resolve(name === present ? { kind: 'found', pieces: [Buffer.from('of a segment')] } : { kind: 'none' }),
  following: () => null,
} as unknown as WalSupply;

/** What the command ends with, as the server would see it. */
async function ask(spool: WalSpool, name: string, target: string): Promise<number | null> {
  const command = spool.command.replace('"%f"', name).replace('"%p"', `'${target}'`);
  const [code] = (await once(spawn('/bin/sh', ['-c', command], { stdio: 'ignore' }), 'exit')) as [number | null];
  return code;
}

/** A process that has much else to do: it comes back to a request late. */
function busy(): Disposable {
  const timer = setInterval(() => {
    const endsAtMs = performance.now() + 40;
    while (performance.now() < endsAtMs);
  }, 5);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

test('a file that is not there and asked for again at once is answered each time', async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-spool-'));
  try {
    await using spool = await WalSpool.open(path.join(dir, 'spool'), supply);
    using _ = busy();
    const target = path.join(dir, 'target');
    for (let i = 0; i < 30; i++) assert.equal(await ask(spool, missing, target), 1);
    assert.equal(await ask(spool, present, target), 0);
    assert.equal(readFileSync(target, 'utf8'), 'of a segment');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
