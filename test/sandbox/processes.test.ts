import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLeftovers, Processes } from '../../sandbox/processes.ts';
import { settled } from '../../sandbox/processes/end.ts';
import { isSame, startTimeOf } from '../../sandbox/processes/identity.ts';
import { readRecords, writeRecords, type Records } from '../../sandbox/processes/records.ts';

const root = mkdtempSync(join(tmpdir(), 'muster-processes-'));
const strays: ChildProcess[] = [];
after(() => {
  for (const child of strays) child.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

let homes = 0;
const freshHome = () => join(root, `home${(homes += 1)}`);
const sandboxDir = join(import.meta.dirname, '../../sandbox');

function script(name: string, body: string): string {
  const file = join(root, `${name}.ts`);
  writeFileSync(file, body);
  return file;
}

const program = script(
  'program',
  `setInterval(() => {}, 1000);
   console.log('starting');
   console.error('a warning');
   console.log(JSON.stringify({ ready: true, port: 7, greeting: process.env['GREETING'] }));`,
);

function sleeper(): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  strays.push(child);
  return child as ChildProcess & { pid: number };
}

const records = (child: { pid: number }, startTime: string): Records => ({
  supervisor: null,
  processes: [{ name: 'old', pid: child.pid, startTime, kind: 'server' }],
  servers: [],
});

test('a program is started, says when it is ready, is recorded, logged, paused, continued and stopped', async () => {
  const home = freshHome();
  const processes = await Processes.open(home);
  const { ready, pid, ended } = await processes.startProgram({
    name: 'shop',
    script: program,
    env: { GREETING: 'ni hao' },
  });
  assert.deepEqual(ready, { ready: true, port: 7, greeting: 'ni hao' });
  const [recorded] = readRecords(join(home, 'processes.json')).processes;
  assert.deepEqual(recorded, { name: 'shop', pid, startTime: startTimeOf(pid), kind: 'program' });
  assert.match(readFileSync(processes.log('shop'), 'utf8'), /starting[^]*a warning|a warning[^]*starting/);
  assert.ok(processes.pause('shop') && processes.cont('shop'));
  assert.ok(processes.pause('shop'));
  await processes.stop('shop');
  assert.match(await ended, /SIGTERM|SIGKILL/);
  assert.equal(processes.kill('shop'), false);
  await processes.endAll();
  assert.deepEqual(readRecords(join(home, 'processes.json')).processes, []);
});

test('a program that ends before it is ready is an error that names its log', async () => {
  const processes = await Processes.open(freshHome());
  const broken = script('broken', `process.exit(3);`);
  await assert.rejects(processes.startProgram({ name: 'broken', script: broken, env: {} }), {
    code: 'SETUP_FAILED',
    message: `broken did not start: it ended with exit code 3; its log is ${processes.log('broken')}`,
  });
  await processes.endAll();
});

test('a program that never says it is ready is ended', async () => {
  const processes = await Processes.open(freshHome());
  const mute = script('mute', `setInterval(() => {}, 1000);`);
  const started = processes.startProgram({ name: 'mute', script: mute, env: {}, readyMs: 300 });
  await assert.rejects(started, /not ready after 0.3 s/);
  assert.ok(await settled(() => processes.pidOf('mute') === null, 5000));
  await processes.endAll();
});

test('a leftover is ended when its pid and its start time are the recorded ones', async () => {
  const home = freshHome();
  const child = sleeper();
  writeRecords(join(home, 'processes.json'), records(child, startTimeOf(child.pid) ?? ''));
  assert.deepEqual(await endLeftovers(home), ['old']);
  assert.equal(startTimeOf(child.pid), null);
  assert.deepEqual(await endLeftovers(home), []);
});

test('a paused leftover is ended too', async () => {
  const home = freshHome();
  const child = sleeper();
  child.kill('SIGSTOP');
  writeRecords(join(home, 'processes.json'), records(child, startTimeOf(child.pid) ?? ''));
  assert.deepEqual(await endLeftovers(home), ['old']);
  assert.equal(startTimeOf(child.pid), null);
});

test("another's process that has got the pid is left alone", async () => {
  const home = freshHome();
  const child = sleeper();
  writeRecords(join(home, 'processes.json'), records(child, `${startTimeOf(child.pid)}0`));
  assert.deepEqual(await endLeftovers(home), []);
  await sleep(50);
  assert.notEqual(startTimeOf(child.pid), null);
});

test('a damaged records file ends nothing and stops nothing', async () => {
  const home = freshHome();
  const processes = await Processes.open(home);
  await processes.endAll();
  writeFileSync(join(home, 'processes.json'), '{"processes":[{"pid":1}]}');
  assert.deepEqual(await endLeftovers(home), []);
});

test('a sandbox whose supervisor lives is not taken over', async () => {
  const home = freshHome();
  const child = sleeper();
  const supervisor = { pid: child.pid, startTime: startTimeOf(child.pid) ?? '' };
  writeRecords(join(home, 'processes.json'), { supervisor, processes: [], servers: [] });
  await assert.rejects(Processes.open(home), { code: 'SANDBOX_RUNNING' });
  assert.notEqual(startTimeOf(child.pid), null);
});

test('when the supervisor is killed its programs and servers end, paused ones too', async () => {
  const home = freshHome();
  const supervisor = script(
    'supervisor',
    `import { Processes } from '${sandboxDir}/processes.ts';
     const processes = await Processes.open('${home}');
     await processes.startProgram({ name: 'shop', script: '${program}', env: {} });
     await processes.startProgram({ name: 'agent', script: '${program}', env: {} });
     processes.startServer({ name: 'temporal', command: 'sleep', args: ['600'] });
     processes.pause('agent');
     console.log('up');`,
  );
  const child = spawn(process.execPath, [supervisor], { stdio: ['ignore', 'pipe', 'inherit'] });
  strays.push(child);
  assert.ok(child.stdout);
  await once(child.stdout, 'data');
  const { processes } = readRecords(join(home, 'processes.json'));
  assert.deepEqual(processes.map((p) => p.name).sort(), ['agent', 'shop', 'temporal']);
  child.kill('SIGKILL');
  assert.ok(await settled(() => !processes.some(isSame), 10_000), 'processes outlived their supervisor');
  assert.ok(await settled(() => readRecords(join(home, 'processes.json')).supervisor === null, 10_000));
});
