/** Builds the Temporal CLI with Go, when there is a Go. It takes some minutes the first time and is then in the cache. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findOnPath, run } from './run.mjs';
import { say, seconds } from './say.mjs';

/**
 * @param {{ folder: string, version: string, onStart: (pid: number) => void }} to
 * @returns {Promise<string | null>} null when `folder/temporal` is there, else why it is not
 */
export async function buildWithGo({ folder, version, onStart }) {
  const go = findOnPath('go') ?? ['/usr/local/go/bin/go', '/opt/homebrew/bin/go'].find((file) => existsSync(file));
  if (go === undefined) return 'Go is not installed';

  say(`building the Temporal CLI ${version} with Go; some minutes, once per user`);
  const building = path.join(folder, `building-${process.pid}`);
  mkdirSync(building, { recursive: true });
  const startedAtMs = Date.now();
  const ended = await run(go, ['install', '-v', `github.com/temporalio/cli/cmd/temporal@v${version}`], {
    // GOOS and GOARCH of somebody's cross-compiling would build for another machine, and Go refuses GOBIN with them.
    env: { GOBIN: building, CGO_ENABLED: '0', GOOS: undefined, GOARCH: undefined, GOWORK: 'off' },
    cwd: os.tmpdir(),
    onStart,
    limitMs: 60 * 60_000,
    onTick: (elapsedMs, output) => say(`still building Temporal, ${seconds(elapsedMs)}: ${progress(output)}`),
  });
  try {
    if (ended.timedOut) return 'the build did not end within an hour';
    if (!ended.ok) return `go install ended with code ${ended.code}\n${ended.tail}`;
    renameSync(path.join(building, 'temporal'), path.join(folder, 'temporal'));
    say(`Temporal is built, ${seconds(Date.now() - startedAtMs)}`);
    return null;
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

/** What Go has said so far, counted. @param {string} output */
function progress(output) {
  const lines = output.split('\n').filter((line) => line !== '');
  const downloads = lines.filter((line) => line.startsWith('go: downloading')).length;
  const compiled = lines.filter((line) => !line.startsWith('go: ')).length;
  return compiled > 0 ? `${compiled} of about 1300 packages compiled` : `${downloads} modules downloaded`;
}
