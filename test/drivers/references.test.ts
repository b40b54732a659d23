import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { resolveReference } from '../../activities/references.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'muster-references-'));
after(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(path.join(dir, name), text);
  return path.join(dir, name);
};

const env = { TOKEN: 'from the environment', EMPTY: '' };
const resolved: [reference: string, value: string][] = [
  ['env:TOKEN', 'from the environment'],
  [`file:${file('token', '  from a file\n')}`, 'from a file'],
  ['postgres://db/orders', 'postgres://db/orders'],
  ['', ''],
];

for (const [reference, value] of resolved) {
  test(`${reference.replace(dir, '') || 'nothing'} stands for ${value || 'nothing'}`, () => {
    assert.equal(resolveReference(reference, env), value);
  });
}

const missing: [reference: string, why: string][] = [
  ['env:ABSENT', 'is not set'],
  ['env:EMPTY', 'is not set'],
  [`file:${path.join(dir, 'absent')}`, 'ENOENT'],
  [`file:${file('blank', ' \n')}`, 'is empty'],
];

for (const [reference, why] of missing) {
  test(`${reference.replace(dir, '')} is an error that names the reference and says: ${why}`, () => {
    assert.throws(
      () => resolveReference(reference, env),
      (err) =>
        err instanceof MusterError &&
        err.code === 'SECRET_MISSING' &&
        err.message.includes(reference) &&
        err.message.includes(why),
    );
  });
}

test('without an environment of its own it reads the one of the process', () => {
  assert.equal(resolveReference('env:PATH'), process.env['PATH']);
});
