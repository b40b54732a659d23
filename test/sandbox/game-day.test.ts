/** A game day that goes wrong has to end all the same. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const program = `
  import { playGameDay } from ${JSON.stringify(import.meta.resolve('../../sandbox/game-day.ts'))};
  const world = {
    clients: { count: 1, stats: async () => ({ acked: 1_000 }) },
    directUrl: () => 'postgres://nobody@127.0.0.1:1/nothing',
  };
  const scenario = { name: 'none', story: '', strike: () => { throw new Error('no disaster today'); } };
  const silent = () => {};
  const day = { world, scenario, estate: { services: {} }, client: null, say: silent, show: silent, fresh: silent };
  await playGameDay(day).catch((err) => console.log(err.message));
`;

test(
  'a day that fails after its straight writer began says so and leaves nothing running',
  { timeout: 60_000 },
  async () => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said = (await child.stdout.toArray()).join('');
    const [code] = child.exitCode === null ? ((await once(child, 'exit')) as [number]) : [child.exitCode];
    assert.deepEqual([said, code], ['no disaster today\n', 0]);
  },
);
