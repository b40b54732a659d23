import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { makeDirectories } from '../../activities/make-directories.ts';

function place(t: TestContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'muster-make-directories-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('what is missing is made with its mode, and the topmost of it is told', (t) => {
  const dir = place(t);
  assert.equal(makeDirectories(path.join(dir, 'a', 'b', 'c'), 0o700), path.join(dir, 'a'));
  assert.equal(statSync(path.join(dir, 'a', 'b', 'c')).mode & 0o777, 0o700);
  assert.equal(makeDirectories(path.join(dir, 'a', 'd')), path.join(dir, 'a', 'd'));
  assert.equal(makeDirectories(path.join(dir, 'a', 'b')), undefined);
});

test('a link to a directory is one', (t) => {
  const dir = place(t);
  symlinkSync('.', path.join(dir, 'link'));
  assert.equal(makeDirectories(path.join(dir, 'link')), undefined);
  assert.equal(makeDirectories(path.join(dir, 'link', 'x')), path.join(dir, 'link', 'x'));
});

test('what is in the way stays, and is what the error is about', (t) => {
  const dir = place(t);
  writeFileSync(path.join(dir, 'file'), 'kept');
  symlinkSync('nowhere', path.join(dir, 'dangling'));
  assert.throws(() => makeDirectories(path.join(dir, 'file')), { code: 'EEXIST' });
  assert.throws(() => makeDirectories(path.join(dir, 'file', 'below', 'it')), { code: 'ENOTDIR' });
  assert.throws(() => makeDirectories(path.join(dir, 'dangling')), { code: 'EEXIST' });
  assert.equal(statSync(path.join(dir, 'file')).size, 4);
});

test('where no name can be made it ends', { skip: !existsSync('/proc/self') }, () => {
  assert.throws(() => makeDirectories('/proc/muster-none/below'), { code: 'ENOENT' });
});

test('threads that make the same directories at the same time all find them made', async (t) => {
  const [dir, threads, rounds] = [place(t), 2, 300];
  const code = pathToFileURL(path.join(import.meta.dirname, '../../activities/make-directories.ts')).href;
  const program = `
    const { workerData, parentPort } = await import('node:worker_threads');
    const { makeDirectories } = await import(${JSON.stringify(code)});
    const at = new Int32Array(workerData.shared);
    for (let round = 0; round < workerData.rounds; round++) {
      // All of them begin a round together.
      Atomics.add(at, round, 1);
      while (Atomics.load(at, round) < workerData.threads);
      makeDirectories(workerData.dir + '/' + round + '/one/two/three');
    }
    parentPort.postMessage('made');
  `;
  const shared = new SharedArrayBuffer(4 * rounds);
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const workers = Array.from(
    { length: threads },
    () => new Worker(url, { workerData: { shared, threads, rounds, dir } }),
  );
  // One that fails leaves the others waiting for it.
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  await Promise.all(
    workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))),
  );
  assert.equal(readdirSync(dir).length, rounds);
});
