import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { configFromArgs } from '../../../storage-node/command-line.ts';
import { directory, file, good, inFile, refusalOf, unusedPath } from './settings.ts';

/** A file of good settings and then these; of two that are alike JSON takes the last. */
function goodAnd(more: string): string {
  return file(`${JSON.stringify(inFile(good)).slice(0, -1)}, ${more}}`);
}
const refusedFile = (name: string, ...flags: string[]): string =>
  refusalOf(() => configFromArgs(['--config', name, ...flags], {}));

describe('a settings file is refused with its name, the key and the fix', () => {
  const rows: { name: string; more: string; says: string[] }[] = [
    { name: 'a key with a slip', more: '"reserv": 1', says: ['"reserv" is no setting; did you mean "reserve"?'] },
    { name: 'a key like a flag', more: '"root-user": "admin"', says: ['did you mean "rootUser"?'] },
    { name: 'a key like a variable', more: '"MUSTER_BIND": "::"', says: ['did you mean "bind"?'] },
    { name: 'a key with its unit', more: '"healMibPerSecond": 1', says: ['did you mean "healRate"?'] },
    { name: 'a key in other letters', more: '"loglevel": "info"', says: ['did you mean "logLevel"?'] },
    {
      name: 'a key like none',
      more: '"replicas": 3',
      says: ['"replicas" is no setting', 'are drives, node, rootUser'],
    },
    { name: 'a key that every object has', more: '"toString": "x"', says: ['"toString" is no setting'] },
    { name: 'a key with a meaning of its own', more: '"__proto__": {}', says: ['"__proto__" is no setting'] },
    {
      name: 'a number in quotes',
      more: '"reserve": "512"',
      says: ['"reserve" must be a number', 'such as 512', 'a text'],
    },
    { name: 'yes for true', more: '"plainRpc": "yes"', says: ['"plainRpc" must be true or false', 'it is a text'] },
    { name: 'one for true', more: '"plainRpc": 1', says: ['"plainRpc" must be true or false', 'it is a number'] },
    { name: 'a number for a text', more: '"region": 1', says: ['"region" must be a text in double quotes'] },
    { name: 'null', more: '"bind": null', says: ['"bind" must be a text', 'it is null'] },
    { name: 'a list', more: '"domains": ["a.b"]', says: ['"domains" must be a text', 'it is a list'] },
    {
      name: 'an object',
      more: '"scrubHours": {}',
      says: ['"scrubHours" must be a number', 'such as 168', 'an object'],
    },
    { name: 'a password that is no text', more: '"rootPassword": 12345678', says: ['"rootPassword" must be a text'] },
    { name: 'a number out of bounds', more: '"scrubHours": 0', says: ['"scrubHours" in ', 'from 0.1 to 8760'] },
    { name: 'an endless number', more: '"reserve": 1e999', says: ['"reserve" in ', 'from 0 to 1000000000'] },
    { name: 'a value that is none', more: '"logLevel": "loud"', says: ['"logLevel" in ', 'trace, debug'] },
  ];
  for (const { name, more, says } of rows) {
    test(`${name}: ${more}`, () => {
      const config = goodAnd(more);
      const message = refusedFile(config);
      for (const part of [config, ...says]) assert.ok(message.includes(part), message);
      assert.equal(message.split('\n').length, 2, `one thing is wrong: ${message}`);
      assert.doesNotMatch(message, /12345678/);
    });
  }

  test('also where a flag has the last word: the file is wrong all the same', () => {
    assert.match(refusedFile(goodAnd('"reserve": "1"'), '--reserve', '2'), /"reserve" must be a number/);
  });

  test('everything at once, together with what is wrong elsewhere', () => {
    const config = goodAnd('"reserv": 1, "plainRpc": "yes", "region": 1, "logLevel": "loud"');
    const message = refusalOf(() =>
      configFromArgs(['--config', config, '--reserve', 'x'], { MUSTER_SCRUB_HOURS: '0', MUSTER_ROOT_USER: 'a/b' }),
    );
    const told = ['"reserv"', '"plainRpc"', '"region"', '--log-level', '--reserve', '--scrub-hours', '--root-user'];
    for (const part of told) assert.ok(message.includes(part), message);
    assert.equal(message.split('\n').length, 1 + told.length, message);
  });
});

describe('a file that holds no settings', () => {
  const secret = 'þþþþþþþþ';
  const rows: { name: string; config: string; says: string }[] = [
    { name: 'none at all', config: unusedPath(), says: 'is not there' },
    { name: 'a directory', config: directory, says: 'is a directory' },
    { name: 'an empty file', config: file(' \n'), says: 'is empty' },
    { name: 'a list', config: file('[]'), says: 'must hold one JSON object' },
    { name: 'a text', config: file(`"${secret}"`), says: 'must hold one JSON object' },
    { name: 'null', config: file('null'), says: 'must hold one JSON object' },
    { name: 'a secret without quotes', config: file(`{"rootPassword": ${secret}}`), says: 'is no JSON' },
    { name: 'a comma too much', config: file(`{\n"rootPassword": "${secret}",\n}`), says: '(line 3 column 1)' },
  ];
  for (const { name, config, says } of rows) {
    test(`${name} is refused with its name, and nothing of what is in it`, () => {
      const message = refusedFile(config);
      for (const part of [config, says]) assert.ok(message.includes(part), message);
      assert.doesNotMatch(message, /þ/);
    });
  }
});

test('flags come before variables before the file, each as it is written there', () => {
  const config = goodAnd('"reserve": 1.5, "scrubHours": 2, "healRate": 3');
  const read = configFromArgs(['--config', config, '--heal-rate', '5'], {
    MUSTER_HEAL_MIB_PER_SECOND: '4',
    MUSTER_SCRUB_HOURS: '6',
  });
  assert.deepEqual([read.reserveBytes, read.scrubEveryHours, read.healBytesPerSecond], [1_572_864, 6, 5 * 1024 * 1024]);
  assert.equal(read.plainRpc, true);
});
