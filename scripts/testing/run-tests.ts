/**
 * `npm test`: every test file with node:test, first the quick ones two at a time, then those that start servers two at a
 * time, then those with whole sites one after another, so that they measure themselves and not each other. One report,
 * one sum.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec, type TestEvent } from 'node:test/reporters';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { Totals } from './totals.ts';
import { root } from '../node24.mjs';

const usage = `usage: npm test -- [options] [part of a path ...]

  npm test                          every test
  npm test -- unit guard/lease      only the files whose path contains one of these
  npm test -- --name "two writers"  only the tests whose name matches
  npm test -- --long                all of what a usual run cuts short: game days, crash images, seeds
  npm test -- --only-long           only the tests that a usual run leaves out, each once
  npm test -- --coverage            with a table of the lines that ran
  npm test -- --slowest 20          with the files that took longest`;

const inStorage = (name: string): string => path.join('storage', name);

/** Folders of test/ whose files start nothing that another test could feel. */
const quickFolders = [
  ...['unit', 'tidy', 'setup', 'sim', 'runbooks', 'report'],
  ...['admin', 'config', 'consensus', 'erasure', 'heal', 'http', 'linearizability'].map(inStorage),
  ...['object', 'rpc', 'sim', 'site', 'store', 'topology'].map(inStorage),
  ...['engine', 'repository'].map((name) => path.join('backup', name)),
];

/** Real servers and clusters, which measure nothing: two at a time, since more only wait for a processor. The rest runs alone. */
const serverFolders = [
  ...['chaos', 'clients', 'cluster'].map(inStorage),
  ...['bucket', 'base-backup', 'postgres'].map((name) => path.join('backup', name)),
  ...['cli-repo', 'drivers', 'guard', 'ledger', 'mover', 'objects', 'protection', 'replay', 'temporal'],
];

/** In the names of tests that a usual run leaves out; see test/support/long.ts. */
const longMark = '(long)';
const longPattern = /\(long\)/;

/** A file that takes longer hangs. */
const fileLimitMs = 20 * 60_000;

type RunOptions = NonNullable<Parameters<typeof run>[0]>;
interface Wanted {
  filters: string[];
  coverage: boolean;
  name: string | undefined;
  slowest: number;
  onlyLong: boolean;
}

async function main(): Promise<number> {
  const wanted = readArguments();
  if (wanted === null) {
    console.error(usage);
    return 2;
  }
  const files = globSync('test/**/*.test.ts', { cwd: root })
    .filter((file) => wanted.filters.length === 0 || wanted.filters.some((filter) => file.includes(filter)))
    .filter((file) => !wanted.onlyLong || namesLong(path.join(root, file)))
    .toSorted();
  if (files.length === 0) {
    console.error(`no test file matches ${wanted.filters.join(' ')}`);
    return 1;
  }
  const totals = new Totals();
  await pipeline(runAll(files, wanted, totals), new spec(), process.stdout, { end: false });
  for (const { file, seconds } of totals.slowest(wanted.slowest)) {
    console.log(`${seconds.toFixed(1).padStart(7)} s  ${path.relative(root, file)}`);
  }
  // Beside those of a usual run a second set of closing lines would only be taken for them.
  if (wanted.onlyLong) console.log(`tests that take long: ${totals.inShort()}`);
  // With --name it is no wonder that most files have nothing to run.
  const empty = wanted.name === undefined && !wanted.onlyLong ? totals.empty : [];
  if (empty.length > 0) console.error(`no test in ${empty.join(', ')}`);
  return totals.passed && empty.length === 0 ? 0 : 1;
}

function readArguments(): Wanted | null {
  try {
    const { values, positionals } = parseArgs({
      options: {
        coverage: { type: 'boolean', default: false },
        name: { type: 'string' },
        long: { type: 'boolean', default: false },
        'only-long': { type: 'boolean', default: false },
        slowest: { type: 'string', default: '0' },
        help: { type: 'boolean' },
      },
      allowPositionals: true,
    });
    if (values.help === true) return null;
    const onlyLong = values['only-long'];
    if (values.long || onlyLong) process.env['MUSTER_TEST_LONG'] = onlyLong ? 'only' : '1';
    // Counts of lines that ran are not exact with it.
    if (values.coverage) process.env['NODE_DISABLE_COMPILE_CACHE'] = '1';
    // A path may be given as the shell completes it: from here or in full, with a trailing slash.
    const filters = positionals.map((text) => path.relative(root, path.resolve(root, text)));
    const { coverage, name, slowest } = values;
    return { filters, coverage, name, slowest: Number(slowest), onlyLong };
  } catch {
    return null;
  }
}

/** Whether a test file, or a file that it imports, names tests that take long. */
function namesLong(file: string): boolean {
  const text = readFileSync(file, 'utf8');
  const imported = [...text.matchAll(/ from '(\.[^']+)'/g)].map(([, name]) =>
    path.join(path.dirname(file), name ?? ''),
  );
  // What a test holds as text may look like an import.
  const sources = imported.filter((name) => existsSync(name)).map((name) => readFileSync(name, 'utf8'));
  return [text, ...sources].some((source) => source.includes(longMark));
}

/** The events of all runs as one stream, closed by the sum of their totals. */
async function* runAll(files: string[], wanted: Wanted, totals: Totals): AsyncGenerator<TestEvent> {
  const isIn = (folders: readonly string[], file: string): boolean =>
    folders.some((folder) => file.startsWith(path.join('test', folder) + path.sep));
  const alone = files.filter((file) => !isIn([...quickFolders, ...serverFolders], file));
  // Coverage is one table over all files, so it takes one run.
  const rounds: [string[], number][] = wanted.coverage
    ? [[files, 1]]
    : [
        [files.filter((file) => isIn(quickFolders, file)), 2],
        [files.filter((file) => isIn(serverFolders, file)), 2],
        [alone, 1],
      ];
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());
  for (const [some, concurrency] of rounds) {
    if (some.length === 0 || interrupted.signal.aborted) continue;
    const options: RunOptions = {
      files: some,
      cwd: root,
      concurrency,
      timeout: fileLimitMs,
      signal: interrupted.signal,
    };
    const pattern = wanted.onlyLong ? longPattern : wanted.name;
    if (pattern !== undefined) options.testNamePatterns = [pattern];
    if (wanted.coverage) Object.assign(options, { coverage: true, coverageExcludeGlobs: ['test/**', 'scripts/**'] });
    for await (const event of run(options)) {
      if (!totals.take(event)) yield event;
    }
  }
  if (!wanted.onlyLong) yield* totals.events();
}

process.exitCode = await main();
