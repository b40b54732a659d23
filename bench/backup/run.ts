/**
 * `npm run bench:backup -- [--tree DIR] [--large-from DIR,DIR] [--runs N] [--dir DIR] [--only large,tree]`: whole commands
 * of `muster repo` and of restic, in turns, on the same data and the same file system. Prints medians of CPU seconds and
 * wall time, MB per CPU-second, and how many times restic's that is.
 */
import { existsSync, rmSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../scripts/node24.mjs';
import { filesBelow, makeLargeFiles } from './data.ts';
import { measured, median, type Measured } from './measured.ts';

const { values: args } = parseArgs({
  options: {
    tree: { type: 'string', default: path.join(homedir(), 'go', 'pkg', 'mod') },
    'large-from': { type: 'string', default: '/usr' },
    'large-count': { type: 'string', default: '4' },
    'large-mb': { type: 'string', default: '512' },
    runs: { type: 'string', default: '3' },
    dir: { type: 'string', default: path.join(tmpdir(), 'muster-bench-backup') },
    only: { type: 'string', default: 'large,tree' },
  },
});

interface Tool {
  name: string;
  repo: string;
  init: string[];
  backup: (source: string) => string[];
  restore: (target: string) => string[];
  check: string[];
}

const muster = ['node', path.join(root, 'scripts', 'run.mjs'), path.join(root, 'cli', 'main.ts'), 'repo'];
const env = { RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: path.join(args.dir, 'cache') };
const tools: Tool[] = [
  {
    name: 'muster',
    repo: path.join(args.dir, 'muster'),
    init: [...muster, 'init', '--repo', path.join(args.dir, 'muster')],
    backup: (source) => [...muster, 'backup', '--repo', path.join(args.dir, 'muster'), source],
    restore: (target) => [...muster, 'restore', 'latest', '--repo', path.join(args.dir, 'muster'), '--target', target],
    check: [...muster, 'check', '--read-data', '--repo', path.join(args.dir, 'muster')],
  },
  {
    name: 'restic',
    repo: path.join(args.dir, 'restic'),
    init: ['restic', 'init', '-q', '--repository-version', '2', '-r', path.join(args.dir, 'restic')],
    backup: (source) => ['restic', 'backup', '-q', '-r', path.join(args.dir, 'restic'), source],
    restore: (target) => ['restic', 'restore', '-q', 'latest', '-r', path.join(args.dir, 'restic'), '--target', target],
    check: ['restic', 'check', '-q', '--read-data', '-r', path.join(args.dir, 'restic')],
  },
];

type Step = 'first backup' | 'second backup' | 'restore' | 'read check';
const figures = new Map<string, Measured[]>();
const stored = new Map<string, number>();

const wanted = args.only.split(',');
try {
  if (wanted.includes('large')) {
    const large = path.join(args.dir, 'large');
    const shape = { count: Number(args['large-count']), bytes: Number(args['large-mb']) * 2 ** 20 };
    const bytes = makeLargeFiles(large, args['large-from'].split(','), shape);
    for (let i = 0; i < Number(args.runs); i++) await round('large files', large, ['first backup']);
    print('large files', bytes);
  }
  if (wanted.includes('tree') && existsSync(args.tree)) {
    let bytes = 0;
    for (const file of filesBelow(args.tree)) bytes += statSync(file).size;
    const steps: Step[] = ['first backup', 'second backup', 'restore', 'read check'];
    for (let i = 0; i < Number(args.runs); i++) await round('tree', args.tree, steps);
    print('tree', bytes);
  }
} finally {
  rmSync(args.dir, { recursive: true, force: true });
}

/** Each step by one tool and then by the other, so that both meet the same machine. */
async function round(data: string, source: string, steps: readonly Step[]): Promise<void> {
  for (const tool of tools) {
    rmSync(tool.repo, { recursive: true, force: true });
    await measured(tool.init, env);
  }
  for (const step of steps) for (const tool of tools) await one(data, source, { step, tool });
}

async function one(data: string, source: string, { step, tool }: { step: Step; tool: Tool }): Promise<void> {
  const target = path.join(args.dir, 'out');
  const command = step === 'restore' ? tool.restore(target) : step === 'read check' ? tool.check : tool.backup(source);
  const figure = await measured(command, env);
  rmSync(target, { recursive: true, force: true });
  const key = `${data} ${step} ${tool.name}`;
  figures.set(key, [...(figures.get(key) ?? []), figure]);
  let bytes = 0;
  for (const file of filesBelow(tool.repo)) bytes += statSync(file).size;
  stored.set(`${data} ${tool.name}`, bytes);
}

function print(data: string, bytes: number): void {
  const rows: Record<string, unknown> = {};
  for (const step of ['first backup', 'second backup', 'restore', 'read check'] as const) {
    const [ours, theirs] = tools.map(({ name }) => figures.get(`${data} ${step} ${name}`) ?? []) as [
      Measured[],
      Measured[],
    ];
    if (ours.length === 0) continue;
    const [cpu, peerCpu] = [ours, theirs].map((runs) => median(runs.map((run) => run.cpuSeconds))) as [number, number];
    const [wall, peerWall] = [ours, theirs].map((runs) => median(runs.map((run) => run.wallSeconds))) as [
      number,
      number,
    ];
    rows[`${data}: ${step}`] = {
      ...{ 'CPU s': cpu, 'restic CPU s': peerCpu, 'x CPU': Number((peerCpu / cpu).toFixed(2)) },
      ...{ 'wall s': wall, 'restic wall s': peerWall, 'x wall': Number((peerWall / wall).toFixed(2)) },
      'MB per CPU-s': Math.round(bytes / 1e6 / cpu),
    };
  }
  console.table(rows);
  const sizes = tools.map(({ name }) => `${name} ${Math.round((stored.get(`${data} ${name}`) ?? 0) / 1e6)} MB`);
  console.log(`${data}: ${Math.round(bytes / 1e6)} MB; stored: ${sizes.join(', ')}\n${JSON.stringify(rows)}`);
}
