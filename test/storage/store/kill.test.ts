import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { realHome } from './drives.ts';
import { keyOf } from './requests.ts';

const worker = path.join(import.meta.dirname, 'worker.ts');

/** Lets a process write to the drive until it has acknowledged so much, and kills it. @returns what it acknowledged */
async function killedAfter(directory: string, life: number, lines: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [worker, directory, String(life)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split('\n').length > lines) child.kill('SIGKILL');
  });
  const signal = await new Promise((resolve) => {
    child.on('close', (_code, by) => resolve(by));
  });
  assert.equal(signal, 'SIGKILL');
  const acked = new Map<string, number>();
  // The last line may be torn.
  for (const line of text.split('\n').slice(0, -1)) {
    const [name, ballot] = line.split(' ');
    acked.set(name!, Math.max(acked.get(name!) ?? 0, Number(ballot)));
  }
  return acked;
}

test('a drive whose process is killed under load has everything it acknowledged, whole', async () => {
  const home = realHome();
  const acked = new Map<string, number>();
  try {
    for (const [life, lines] of [40, 200, 500].entries()) {
      for (const [name, ballot] of await killedAfter(home.directory, life, lines)) acked.set(name, ballot);
      const drive = await home.open();
      for (const [name, ballot] of acked) {
        const row = await drive.read({ key: keyOf(name), withHead: false });
        assert.ok(row.ballot >= ballot, `${name}: ${row.ballot} is there, ${ballot} was acknowledged`);
        assert.deepEqual(await drive.checkData([row.state], true), ['ok']);
      }
      await drive.close();
    }
  } finally {
    home.remove();
  }
});
