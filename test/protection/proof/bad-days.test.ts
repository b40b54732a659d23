/** Restore tests that do not come to their end leave nothing behind, and what is not about the backup makes no proof. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { acquireLock } from '../../../activities/backup/repository/lock.ts';
import { openPlace, removeLeftPlaces } from '../../../activities/protection/proof/place.ts';
import { restoreTest } from '../../../activities/protection/restore-test.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { ProofChecks, RecoveryPoint, RestoreProof } from '../../../workflows/engine/protection.ts';
import { createDatabase, type Database } from './support/database.ts';
import {
  assertProven,
  attempt,
  contextOf,
  createWorld,
  leftBehind,
  openVaultAt,
  orderOf,
  placesOf,
  processesOf,
  type Attempt,
  type World,
} from './support/world.ts';

let world: World;
let database: Database;
let point: RecoveryPoint;

before(async () => {
  world = await createWorld('bad-days');
  database = await createDatabase(world);
  point = await database.save();
});
after(async () => {
  await database[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

function given(more: Partial<Attempt> = {}): Attempt {
  return { world, resource: database.resource, point, ...more };
}

/** A program that starts another one, which would outlive it, and never answers. */
const stubborn: ProofChecks = {
  start: ['sh', '-c', "trap '' TERM; (trap '' TERM; sleep 600) & setsid sleep 600 & wait"],
  http: [{ url: 'http://127.0.0.1:{port}/' }],
};

/** Runs a restore test in a process of its own and kills it: in a phase, or as soon as a file is there. */
async function killed(
  runId: string,
  when: { phase: string } | { file: string },
  checks: ProofChecks = {},
): Promise<void> {
  const file = world.at(`${runId}.json`);
  writeFileSync(file, JSON.stringify({ order: orderOf(given({ checks })), point, runId, scratchDir: world.dir }));
  const program = path.join(import.meta.dirname, 'support', 'killed.ts');
  const child = spawn(process.execPath, [program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const isTime = (phase: string): boolean => ('phase' in when ? phase === when.phase : existsSync(when.file));
  const looking = setInterval(() => isTime('') && child.kill('SIGKILL'), 20);
  for await (const phase of createInterface({ input: child.stdout })) if (isTime(phase)) child.kill('SIGKILL');
  clearInterval(looking);
  assert.deepEqual(await ended, [null, 'SIGKILL'], `it came to its end before ${JSON.stringify(when)}`);
}

describe('a worker that is killed', () => {
  test('while the server is looked at: the next attempt removes it all and proves', async () => {
    const runId = 'killed-verifying';
    await killed(runId, { phase: 'verifying' }, stubborn);
    const servers = processesOf(placesOf(world, runId)).filter((one) => one.includes('postgres'));
    assert.ok(servers.length > 0, 'the server should have outlived the worker');
    assertProven(await attempt(given({ runId })));
  });

  test('while files are laid down: the same', async () => {
    const runId = 'killed-laying-down';
    await killed(runId, { phase: 'laying-down' }, stubborn);
    assert.ok(leftBehind(world, runId).length > 0);
    assertProven(await attempt(given({ runId })));
  });

  test('while a program of the user runs: that is ended, too, with all it has started', async () => {
    const runId = 'killed-asking';
    const file = world.at('started');
    const start = ['sh', '-c', `touch ${file}; ${stubborn.start?.at(-1)}`];
    await killed(runId, { file }, { ...stubborn, start });
    const programs = processesOf(placesOf(world, runId)).filter((one) => one.includes('sleep 600'));
    assert.ok(programs.length > 0, 'the programs should have outlived the worker');
    assertProven(await attempt(given({ runId })));
  });

  test('and never comes back: the next one on the machine removes its server, programs and files, and no others', async () => {
    const runId = 'killed-for-good';
    const file = world.at('started-for-good');
    await killed(runId, { file }, { ...stubborn, start: ['sh', '-c', `touch ${file}; ${stubborn.start?.at(-1)}`] });
    const running = processesOf(placesOf(world, runId));
    for (const program of ['postgres', 'sleep 600'])
      assert.ok(
        running.some((one) => one.includes(program)),
        program,
      );
    await using mine = await openPlace({ scratchDir: world.dir, runId: 'another-run' });
    const left = await removeLeftPlaces({ scratchDir: world.dir });
    assert.deepEqual(
      left.map(({ dir, why }) => [dir.startsWith(placesOf(world, runId)), why]),
      [[true, null]],
    );
    assert.deepEqual(leftBehind(world, runId), []);
    assert.ok(mine.isHeld());
    assert.deepEqual(await removeLeftPlaces({ scratchDir: world.dir }), []);
  });
});

test('an attempt that was given up and goes on all the same makes no proof, and does not disturb the next', async () => {
  const runId = 'given-up';
  let next: Promise<RestoreProof> | null = null;
  const heartbeat = (progress: unknown): void => {
    if ((progress as { phase: string }).phase === 'verifying') next ??= attempt(given({ runId }));
  };
  const context = contextOf({ world, runId, heartbeat });
  const first = restoreTest(orderOf(given()), { point, before: null }, context);
  await assert.rejects(first, (err) => err instanceof MusterError && err.code === 'RUN_ACTIVE');
  assertProven(await next!);
  assert.deepEqual(leftBehind(world, runId), []);
});

describe('an attempt that is aborted leaves nothing and throws the reason,', () => {
  for (const phase of ['listing', 'laying-down', 'verifying', 'scanning']) {
    test(`${phase}`, async () => {
      const stop = new AbortController();
      const reason = new Error('the workflow was cancelled');
      const runId = `aborted-${phase}`;
      const heartbeat = (progress: unknown): void => {
        if ((progress as { phase: string }).phase === phase) stop.abort(reason);
      };
      const checks: ProofChecks = { scanner: ['sleep', '600'] };
      await assert.rejects(attempt(given({ signal: stop.signal, heartbeat, runId, checks })), reason);
      assert.deepEqual(leftBehind(world, runId), []);
    });
  }

  test('while it waits for a program that never answers', async () => {
    const stop = new AbortController();
    const reason = new Error('the worker shuts down');
    const file = world.at('waiting');
    const looking = setInterval(() => existsSync(file) && stop.abort(reason), 20);
    const start = ['sh', '-c', `touch ${file}; ${stubborn.start?.at(-1)}`];
    const tried = attempt(given({ signal: stop.signal, runId: 'aborted-asking', checks: { ...stubborn, start } }));
    await assert.rejects(tried, reason);
    clearInterval(looking);
  });
});

describe('what says nothing about the backup makes no proof:', () => {
  const cases: { name: string; code: string; more: () => Partial<Attempt> }[] = [
    {
      name: 'a password that this process does not have',
      code: 'SECRET_MISSING',
      more: () => ({ vault: { ...world.vault, password: 'env:NOBODY_HAS_SET_THIS' } }),
    },
    {
      name: 'a vault that does not answer',
      code: 'OBJECT_STORE_UNREACHABLE',
      more: () => ({
        vault: {
          ...world.vault,
          repository: 's3://vault?endpoint=http://127.0.0.1:9&region=us-east-1&pathStyle=true&credentials=PROOF',
        },
      }),
    },
    {
      name: 'a point of another resource than the order',
      code: 'CONFIG_INVALID',
      more: () => ({ point: { ...point, resource: 'receipts' } }),
    },
    {
      name: 'a kind of resource that cannot be restored',
      code: 'CONFIG_INVALID',
      more: () => ({ point: { ...point, kind: 'dns' } }),
    },
  ];
  for (const { name, code, more } of cases) {
    test(name, async () => {
      Object.assign(process.env, { PROOF_ACCESS_KEY_ID: 'nobody', PROOF_SECRET_ACCESS_KEY: 'nothing' });
      const refused = (err: unknown): boolean => err instanceof MusterError && err.code === code;
      await assert.rejects(attempt(given(more())), refused);
    });
  }
});

test('a vault that somebody is pruning is waited for, and the wait can be aborted', async () => {
  const repository = await openVaultAt(world.vault);
  const lock = await acquireLock(repository, { exclusive: true });
  const stop = new AbortController();
  const order = orderOf(given());
  const reason = new Error('enough');
  const tried = attempt(given({ signal: stop.signal, runId: 'waiting' }));
  const settled = tried.then(
    () => 'proved',
    (err: unknown) => (err === reason ? 'aborted' : String(err)),
  );
  stop.abort(reason);
  await lock.release();
  assert.equal(await settled, 'aborted', order.vault.name);
  await repository.close();
});
