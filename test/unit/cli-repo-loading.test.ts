/** A command loads what it needs: a backup must not wait for Temporal. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { Command } from 'commander';
import { commandGroups, groupsFor } from '../../cli/command-groups.ts';

const root = path.join(import.meta.dirname, '..', '..');

test('every group of commands adds exactly the commands that it is loaded for', async () => {
  for (const { names, load } of commandGroups) {
    const program = new Command();
    (await load())(program);
    assert.deepEqual(
      program.commands.map((command) => command.name()),
      names,
    );
  }
});

const cases: { args: string[]; loaded: number }[] = [
  { args: ['repo', 'backup', 'status'], loaded: 1 },
  { args: ['down'], loaded: 1 },
  { args: ['--version'], loaded: 0 },
  { args: ['--help'], loaded: commandGroups.length },
  { args: ['help', 'repo'], loaded: commandGroups.length },
  { args: ['rpeo'], loaded: commandGroups.length },
  { args: [], loaded: commandGroups.length },
];
for (const { args, loaded } of cases) {
  test(`muster ${args.join(' ')} loads ${loaded} of the groups`, () => assert.equal(groupsFor(args).length, loaded));
}

/** Tells on stderr what of these was loaded. */
const watch = `
import { registerHooks } from 'node:module';
const loaded = new Set();
registerHooks({ load: (url, context, next) => (loaded.add(url), next(url, context)) });
process.on('exit', () => {
  const heavy = [...loaded].map((url) => /node_modules\\/(@temporalio|pg|undici|lmdb|pino)\\/|\\/(runbooks|sandbox|console)\\//.exec(url)?.[0]);
  process.stderr.write('heavy: ' + [...new Set(heavy.filter(Boolean))].join(' '));
});`;

for (const { args, heavy } of [
  { args: ['repo', 'snapshots', '--repo', '/nonexistent/vault'], heavy: /heavy: $/ },
  { args: ['repo', '--help'], heavy: /heavy: $/ },
  { args: ['lint', '--help'], heavy: /heavy: .*\/runbooks\// },
]) {
  test(`muster ${args.slice(0, 2).join(' ')} loads ${heavy.source === 'heavy: $' ? 'nothing' : 'what is'} heavy`, () => {
    const preload = `data:text/javascript,${encodeURIComponent(watch)}`;
    const ended = spawnSync(process.execPath, ['--import', preload, path.join(root, 'cli', 'main.ts'), ...args], {
      env: { ...process.env, RESTIC_PASSWORD: 'none' },
      encoding: 'utf8',
    });
    assert.match(ended.stderr, heavy);
  });
}
