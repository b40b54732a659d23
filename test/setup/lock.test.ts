import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { startOf, withLock } from '../../scripts/setup/lock.mjs';

const module = pathToFileURL(path.join(import.meta.dirname, '..', '..', 'scripts', 'setup', 'lock.mjs')).href;

function lockIn(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'muster-lock-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'below', 'the.lock');
}

/** A process that holds the lock, with a child of its own, until it is killed. Resolves when it holds. */
async function holder(lock: string): Promise<{ process: ChildProcess; childPid: number }> {
  const code = `
    import { spawn } from 'node:child_process';
    const { withLock } = await import('${module}');
    await withLock(${JSON.stringify(lock)}, () => {}, async (onStart) => {
      const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
      onStart(child.pid);
      console.log(child.pid);
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    });`;
  const process_ = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(process_.stdout, 'data')) as [Buffer];
  return { process: process_, childPid: Number(chunk.toString()) };
}

async function gone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100 && isRunning(pid); i += 1) await sleep(50);
  return !isRunning(pid);
}

/** Whether it runs; one that nobody has waited for (a zombie) does not. */
function isRunning(pid: number): boolean {
  if (startOf(pid) === null) return false;
  return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

test('of many at once, one works at a time and all get their turn', async (t) => {
  const lock = lockIn(t);
  let inside = 0;
  const most: number[] = [];
  const work = (): Promise<void> =>
    withLock(
      lock,
      () => {},
      async () => {
        inside += 1;
        most.push(inside);
        await sleep(20);
        inside -= 1;
      },
    );
  await Promise.all([work(), work(), work(), work()]);
  assert.deepEqual(most, [1, 1, 1, 1]);
  assert.ok(!existsSync(lock));
});

test('the lock is given back when the work fails', async (t) => {
  const lock = lockIn(t);
  await assert.rejects(
    withLock(
      lock,
      () => {},
      () => Promise.reject(new Error('no network')),
    ),
    /no network/,
  );
  assert.ok(!existsSync(lock));
});

test('a living holder is waited for, by name', async (t) => {
  const lock = lockIn(t);
  const { process: other, childPid } = await holder(lock);
  let heard = '';
  const turn = withLock(
    lock,
    (pid) => {
      heard = pid;
    },
    () => Promise.resolve(isRunning(other.pid ?? 0)),
  );
  await sleep(600);
  assert.equal(heard, String(other.pid));
  assert.ok(isRunning(other.pid ?? 0) && isRunning(childPid), 'nobody was hurt by the waiting');
  other.kill('SIGKILL');
  assert.equal(await turn, false, 'the turn came only after its end');
  assert.ok(await gone(childPid), 'what the dead holder had started was ended');
});

test('a holder whose pid now belongs to another process has lost the lock, and that process is left alone', async (t) => {
  const lock = lockIn(t);
  const innocent = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  t.after(() => innocent.kill('SIGKILL'));
  mkdirSync(lock, { recursive: true });
  const former = JSON.stringify({ pid: innocent.pid, startedAt: 'long ago', host: hostname() });
  for (const name of ['holder.json', 'child.json']) writeFileSync(path.join(lock, name), former);
  await withLock(
    lock,
    () => {},
    () => Promise.resolve(),
  );
  assert.ok(isRunning(innocent.pid ?? 0));
});

test('a holder on another machine loses the lock only after a minute of silence', async (t) => {
  const lock = lockIn(t);
  mkdirSync(lock, { recursive: true });
  const elsewhere = JSON.stringify({ pid: 1, startedAt: 'then', host: 'another-machine' });
  writeFileSync(path.join(lock, 'holder.json'), elsewhere);
  let had = false;
  const turn = withLock(
    lock,
    () => {},
    async () => {
      had = true;
    },
  );
  await sleep(700);
  assert.equal(had, false);
  const silentSince = new Date(Date.now() - 61_000);
  utimesSync(lock, silentSince, silentSince);
  await turn;
  assert.ok(had);
});
