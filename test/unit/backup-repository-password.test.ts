import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MusterError, type ErrorCode } from '../../workflows/engine/errors.ts';
import { resolvePassword, splitCommand } from '../../activities/backup/repository/password.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-password-'));
after(() => rmSync(folder, { recursive: true }));
function file(name: string, content: Uint8Array | string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const plain = file('plain', '  from file \r\n');
const found = [
  { name: 'a reference to the environment', reference: 'env:MINE', env: { MINE: 'x y ' }, want: 'x y ' },
  { name: 'a reference to a command', reference: `command:cat '${plain}'`, env: {}, want: 'from file' },
  { name: 'a reference to a file', reference: `file:${plain}`, env: {}, want: 'from file' },
  {
    name: "a reference before all of restic's",
    reference: 'env:MINE',
    env: { MINE: 'x', RESTIC_PASSWORD: 'y' },
    want: 'x',
  },
  { name: 'RESTIC_PASSWORD as it is', env: { RESTIC_PASSWORD: ' x ' }, want: ' x ' },
  { name: 'RESTIC_PASSWORD_FILE, trimmed', env: { RESTIC_PASSWORD_FILE: plain }, want: 'from file' },
  {
    name: 'the file before the variable',
    env: { RESTIC_PASSWORD_FILE: plain, RESTIC_PASSWORD: 'x' },
    want: 'from file',
  },
  {
    name: 'the command before the variable',
    env: { RESTIC_PASSWORD_COMMAND: 'echo " a  b "', RESTIC_PASSWORD: 'x' },
    want: 'a  b',
  },
  {
    name: 'a file of UTF-16 with its mark',
    env: { RESTIC_PASSWORD_FILE: file('utf16', Buffer.from('\ufeffpä\n', 'utf16le')) },
    want: 'pä',
  },
  { name: 'a file of UTF-8 with its mark', env: { RESTIC_PASSWORD_FILE: file('bom', '\ufeffpä\n') }, want: 'pä' },
];
for (const { name, reference, env, want } of found) {
  test(`the password is taken from ${name}`, async () => {
    assert.equal(await resolvePassword(reference, { PATH: process.env['PATH'], ...env }), want);
  });
}

const missing: { name: string; reference?: string; env: NodeJS.ProcessEnv; code: ErrorCode; says: RegExp }[] = [
  { name: 'nothing is set', env: {}, code: 'SECRET_MISSING', says: /no password/ },
  { name: 'the variable is empty', env: { RESTIC_PASSWORD: '' }, code: 'SECRET_MISSING', says: /no password/ },
  {
    name: 'the file is not there',
    env: { RESTIC_PASSWORD_FILE: '/none/there' },
    code: 'SECRET_MISSING',
    says: /\/none\/there/,
  },
  {
    name: 'the file is empty',
    env: { RESTIC_PASSWORD_FILE: file('empty', '\n') },
    code: 'SECRET_MISSING',
    says: /is empty/,
  },
  {
    name: 'the command fails',
    env: { RESTIC_PASSWORD_COMMAND: 'false secret' },
    code: 'SECRET_MISSING',
    says: /COMMAND failed/,
  },
  {
    name: 'the command is not there',
    env: { RESTIC_PASSWORD_COMMAND: '/none secret' },
    code: 'SECRET_MISSING',
    says: /COMMAND failed/,
  },
  {
    name: 'the command prints nothing',
    env: { RESTIC_PASSWORD_COMMAND: 'true' },
    code: 'SECRET_MISSING',
    says: /printed nothing/,
  },
  {
    name: 'file and command are set',
    env: { RESTIC_PASSWORD_COMMAND: 'a', RESTIC_PASSWORD_FILE: 'b' },
    code: 'CONFIG_INVALID',
    says: /unset one/,
  },
  { name: 'it is no reference', reference: 'secret', env: {}, code: 'CONFIG_INVALID', says: /must be a reference/ },
  {
    ...{ name: 'the command of a reference fails', reference: 'command:false secret', env: {} },
    ...{ code: 'SECRET_MISSING', says: /^the command of command:… failed$/ },
  },
  {
    ...{ name: 'the command of a reference prints nothing', reference: 'command:true', env: {} },
    ...{ code: 'SECRET_MISSING', says: /printed nothing/ },
  },
  { name: 'the reference names nothing', reference: 'env:NONE', env: {}, code: 'SECRET_MISSING', says: /env:NONE/ },
];
for (const { name, reference, env, code, says } of missing) {
  test(`there is no password where ${name}, and the message keeps the secret`, async () => {
    await assert.rejects(resolvePassword(reference, { PATH: process.env['PATH'], ...env }), (err) => {
      assert.ok(err instanceof MusterError && err.code === code, String(err));
      assert.match(err.message, says);
      assert.ok(!err.message.includes('secret') && !String(err.cause).includes('secret'));
      return true;
    });
  });
}

const commands = [
  { command: 'pass show "my repo"/key', words: ['pass', 'show', 'my repo/key'] },
  { command: `sh -c 'echo "$X"'  `, words: ['sh', '-c', 'echo "$X"'] },
  { command: '  a\tb\n""', words: ['a', 'b', ''] },
];
for (const { command, words } of commands) {
  test(`a command is split like a shell's: ${JSON.stringify(command)}`, () =>
    assert.deepEqual(splitCommand(command), words));
}
