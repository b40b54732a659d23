/** A command loads what it needs: help must not wait for Temporal, nor a backup for PostgreSQL. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
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

const groupCases: { args: string[]; loaded: number }[] = [
  { args: ['repo', 'backup', 'status'], loaded: 1 },
  { args: ['down'], loaded: 1 },
  { args: ['--version'], loaded: 0 },
  { args: ['--help'], loaded: commandGroups.length },
  { args: ['help', 'repo'], loaded: commandGroups.length },
  { args: ['rpeo'], loaded: commandGroups.length },
  { args: [], loaded: commandGroups.length },
];
for (const { args, loaded } of groupCases) {
  test(`muster ${args.join(' ')} loads ${loaded} of the groups`, () => assert.equal(groupsFor(args).length, loaded));
}

/** Writes what was loaded to a descriptor of its own, for standard output and error are the command's. */
const watch = `
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
process.on('exit', () => writeSync(3, JSON.stringify(loaded)));`;

/** Names of packages, and folders of ours, that a command loads. */
function loadedBy(args: readonly string[]): { packages: string[]; folders: string[]; status: number | null } {
  const preload = `data:text/javascript,${encodeURIComponent(watch)}`;
  const { output, status } = spawnSync(
    process.execPath,
    ['--import', preload, path.join(root, 'cli', 'main.ts'), ...args],
    { env: environment, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], encoding: 'utf8' },
  );
  const files = (JSON.parse(output[3] ?? '') as string[])
    .filter((url) => url.startsWith('file:'))
    .map((url) => path.relative(root, fileURLToPath(url)));
  const packages = files.flatMap((file) => /(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []);
  const folders = files.filter((file) => !file.includes('node_modules')).map((file) => file.split('/')[0] as string);
  return { packages: [...new Set(packages)].toSorted(), folders: [...new Set(folders)].toSorted(), status };
}

const environment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(MUSTER|RESTIC|AWS)_/.test(name))),
  ...{ MUSTER_HOME: '/nonexistent', MUSTER_ESTATE: '/nonexistent/muster.yaml', RESTIC_PASSWORD: 'none' },
  ...{ AWS_ACCESS_KEY_ID: 'none', AWS_SECRET_ACCESS_KEY: 'none' },
};
const estate = path.join(root, 'runbooks', 'library', 'postgres-pair.yaml');
const bucket = 's3://shop-receipts?endpoint=http://127.0.0.1:9';

/** What help and wrong usage take: how commands are called, and how errors are told. */
const called = ['cli', 'sandbox', 'worker', 'workflows'];
const cases: { args: string[]; ends: number; packages: string[]; folders?: string[] }[] = [
  { args: ['--version'], ends: 0, packages: ['commander'], folders: ['cli', 'worker'] },
  { args: ['--help'], ends: 0, packages: ['commander'], folders: called },
  { args: ['rpeo'], ends: 2, packages: ['commander'], folders: called },
  {
    args: ['backups', 'list', '--nonsense'],
    ends: 2,
    packages: ['commander'],
    folders: ['cli', 'worker', 'workflows'],
  },
  { args: ['backups', 'restore', 'shop'], ends: 2, packages: ['commander'], folders: ['cli', 'worker', 'workflows'] },
  { args: ['lint', estate], ends: 0, packages: ['commander', 'yaml', 'zod'] },
  { args: ['plan'], ends: 2, packages: ['commander', 'undici', 'yaml', 'zod'] },
  { args: ['failover', '--dry-run'], ends: 2, packages: ['commander', 'undici', 'yaml', 'zod'] },
  { args: ['repo', 'snapshots', '--repo', '/nonexistent/vault'], ends: 1, packages: ['commander', 'zod'] },
  { args: ['copy', bucket, bucket, '--dry-run'], ends: 2, packages: ['commander', 'undici'] },
  { args: ['lifecycle', 'plan', bucket, '--rules', '/nonexistent'], ends: 2, packages: ['commander', 'yaml', 'zod'] },
];
for (const { args, ends, packages, folders } of cases) {
  const shown = args.map((arg) => (arg === estate ? path.basename(estate) : arg)).join(' ');
  test(`muster ${shown} loads ${packages.join(', ')} and no other package`, () => {
    const loaded = loadedBy(args);
    assert.equal(loaded.status, ends);
    assert.deepEqual(loaded.packages, packages);
    if (folders !== undefined) assert.deepEqual(loaded.folders, folders);
  });
}
