/** `archive_command`: asked again and again for the same file, as a server does. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { archiveProgram } from '../../../activities/backup/postgres/archive-command.ts';
import { asOwner, makeOwnedDir } from '../../../activities/drivers/postgres/owner.ts';
import { eventually } from '../../support/eventually.ts';
import { nameOf, segmentBytesOf } from './support/segments.ts';
import { testHome, testServer, type TestHome } from './support/servers.ts';

const program = path.join(import.meta.dirname, '../../../activities/backup/postgres/archive-program.ts');
const dir = mkdtempSync(path.join(tmpdir(), 'muster-archive-command-'));
let home: TestHome;
before(async () => {
  home = await testHome('archive-command');
});
after(async () => {
  await home[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

function file(name: string, bytes: Buffer): string {
  const at = path.join(dir, name);
  writeFileSync(at, bytes);
  return at;
}

test('a file is stored, found to be there the next time, and one with other bytes is refused loudly', async () => {
  const archive = path.join(dir, 'archive');
  const [name, bytes] = [nameOf(3), segmentBytesOf(3)];
  const first = await archiveProgram([archive, file(name, bytes)]);
  assert.deepEqual(first, { exitCode: 0, message: `${name} is stored` });
  assert.equal((await archiveProgram([archive, file(name, bytes)])).exitCode, 0);
  const other = await archiveProgram([archive, file(name, segmentBytesOf(3, { seed: 'other' }))]);
  assert.equal(other.exitCode, 1);
  assert.match(other.message, /^WAL_CONFLICT: .*other bytes under 000000010000000000000003.* Find out which\.$/);
  assert.ok(bytes.equals(readFileSync(path.join(archive, name))));
});

test('as a program it says why it failed and ends with 1, so that the server keeps the file', async () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [program, ...args]).then(
      () => ({ code: 0, stderr: '' }),
      (err: { code: number; stderr: string }) => err,
    );
  assert.equal((await run(path.join(dir, 'by-program'), file(nameOf(1), segmentBytesOf(1)))).code, 0);
  const missing = await run(path.join(dir, 'by-program'), path.join(dir, nameOf(9)));
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /SOURCE_UNREADABLE/);
  const usage = await run();
  assert.equal(usage.code, 1);
  assert.match(usage.stderr, /usage/);
});

/** Why the server's user cannot run the program; false when it can. */
function whyNot(): string | false {
  try {
    execFileSync(process.execPath, [program], { ...asOwner(), cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
    return 'the program says nothing';
  } catch (err) {
    const isUsage = String((err as { stderr?: Buffer }).stderr).includes('usage');
    return isUsage ? false : "the servers' user cannot run Node from here";
  }
}

test(
  'a server archives by it, also what it has archived before a crash made it forget',
  { skip: whyNot() },
  async () => {
    const archive = home.path('archive');
    await makeOwnedDir(archive);
    await using server = await testServer(home, {
      walSegmentMegabytes: 1,
      extra: { archive_mode: 'on', archive_command: `"${process.execPath}" "${program}" "${archive}" "%p"` },
    });
    const fill = (): Promise<string> =>
      server.sql(async (client) => {
        await client.query(
          "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 900)) FROM generate_series(1, 1500)",
        );
        const { rows } = await client.query<{ name: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS name');
        return rows[0]?.name ?? '';
      });
    const first = await fill();
    await eventually('it is archived', () => existsSync(path.join(archive, first)));
    const before = readdirSync(archive).filter((name) => /^[0-9A-F]{24}$/.test(name));
    await server.kill();
    // As after a crash in the moment between the command's success and the server's note of it.
    for (const name of before)
      writeFileSync(path.join(server.dataDir, 'pg_wal', 'archive_status', `${name}.ready`), '');
    for (const name of before)
      rmSync(path.join(server.dataDir, 'pg_wal', 'archive_status', `${name}.done`), { force: true });
    await server.start();
    const second = await fill();
    await eventually('the next one is archived', () => existsSync(path.join(archive, second)));
    const { rows } = await server.sql((client) =>
      client.query<{ failed: string }>('SELECT failed_count::text AS failed FROM pg_stat_archiver'),
    );
    assert.equal(rows[0]?.failed, '0');
  },
);
