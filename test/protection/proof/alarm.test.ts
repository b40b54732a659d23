/** What destroyed files before they were saved: an intact backup of it is no proof, and raises the alarm. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ProofChecks, RecoveryPoint } from '../../../workflows/engine/protection.ts';
import { createDocuments, documents as names, textOf, type Documents } from './support/documents.ts';
import { assertCaught, assertProven, type Caught } from './support/world.ts';

let documents: Documents;
let sound: RecoveryPoint;

before(async () => {
  documents = await createDocuments('alarm');
  sound = await save();
});
after(() => documents.world[Symbol.asyncDispose]());

const write: Documents['write'] = (name, content) => documents.write(name, content);
const save: Documents['save'] = (of) => documents.save(of);
const tested: Documents['tested'] = (point, more) => documents.tested(point, more);
const source: Documents['source'] = (...found) => documents.source(...found);

const attacks: (Caught & { name: string; attack: () => void; checks?: ProofChecks })[] = [
  {
    name: 'a third of the files encrypted in their places',
    attack: () => {
      for (const name of names.slice(0, 9)) write(name, randomBytes(20_000));
    },
    ...{
      code: 'PROOF_FAILED',
      says: /entropy documents failed: of \d+ changed files .* 9 look encrypted \(.*document-\d/,
    },
  },
  {
    name: 'files encrypted under new names',
    attack: () => {
      for (const name of names.slice(0, 9)) {
        write(`${name}.locked`, randomBytes(20_000));
        rmSync(source(name));
      }
    },
    ...{ code: 'PROOF_FAILED', says: /entropy documents failed: .* 9 look encrypted \(.*\.locked/ },
  },
  {
    name: 'only the first pages of files encrypted',
    attack: () => {
      for (const [i, name] of names.slice(0, 9).entries())
        write(name, Buffer.concat([randomBytes(4_096), Buffer.from(textOf(i).repeat(8))]));
    },
    ...{ code: 'PROOF_FAILED', says: /entropy documents failed/ },
  },
  {
    name: 'most files deleted',
    attack: () => {
      for (const name of names.slice(0, 20)) rmSync(source(name));
    },
    ...{ code: 'PROOF_FAILED', says: /change-rate documents failed: of 26 files .* 20 went/ },
  },
  {
    name: 'most files emptied',
    attack: () => {
      for (const name of names.slice(0, 20)) write(name, '');
    },
    ...{ code: 'PROOF_FAILED', says: /change-rate documents failed: .*20 are empty now/ },
  },
  {
    name: 'most files written over, though with text',
    attack: () => {
      for (const name of names.slice(0, 20)) write(name, 'your files are gone\n'.repeat(50));
    },
    ...{ code: 'PROOF_FAILED', says: /change-rate documents failed: of 26 files 2\d changed/ },
  },
];
for (const { name, attack, ...caught } of attacks) {
  test(`${name} raise the alarm`, async () => {
    documents.writeAll();
    attack();
    assertCaught(await tested(await save(), { before: sound }), caught);
  });
}

test('a day of honest work raises no alarm', async () => {
  documents.writeAll();
  for (const [i, name] of names.slice(0, 6).entries()) write(name, `${textOf(i)}\nand one line more`);
  write('folder-1/archive.gz', gzipSync(randomBytes(50_000)));
  renameSync(source('folder-0/picture.jpg'), source('folder-0/renamed.jpg'));
  const proof = await tested(await save(), { before: sound });
  assertProven(proof);
  assert.ok(proof.findings.some(({ check, verdict }) => check === 'entropy' && verdict === 'passed'));
});

test('an attack that stays below what the user allows raises none', async () => {
  documents.writeAll();
  for (const name of names.slice(0, 9)) write(name, randomBytes(20_000));
  assertProven(await tested(await save(), { before: sound, checks: { maxScrambledPercent: 100 } }));
});
