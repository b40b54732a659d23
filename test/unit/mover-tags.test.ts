/** How a change of tags goes through a replication's memory; pure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoggedChange } from '../../activities/mover/changes/node-log.ts';
import { writesOf } from '../../activities/mover/changes/note-changes.ts';
import { noteWrite, settleWrite } from '../../activities/mover/ledger/advance-row.ts';
import { type LedgerRow, type NotedWrite, type Operation } from '../../activities/mover/ledger/ledger.ts';
import { packPlain, packRow, unpackRow } from '../../activities/mover/ledger/row-codec.ts';

const write = (op: Operation, sourceEtag: string, writtenAtMs: number, version = ''): NotedWrite => ({
  ...{ key: 'k', version, op, writtenAtMs, sizeBytes: 1, sourceEtag },
});
const verified = (noted: NotedWrite, targetEtag = 'there', targetVersion = ''): LedgerRow =>
  settleWrite(undefined, { ...noted, state: 'verified', targetEtag, targetVersion }, 1)!;

const noted: { name: string; row: LedgerRow | undefined; write: NotedWrite; op: Operation }[] = [
  {
    name: 'of bytes that arrived is brought alone',
    row: verified(write('put', 'e', 1)),
    write: write('tags', 'e', 2),
    op: 'tags',
  },
  {
    name: 'of bytes that wait goes along with them',
    row: noteWrite(undefined, write('put', 'e', 1), 1),
    write: write('tags', 'e', 2),
    op: 'put',
  },
  {
    name: 'that waits for another one stays one',
    row: noteWrite(verified(write('put', 'e', 1)), write('tags', 'e', 2), 2),
    write: write('tags', 'e', 3),
    op: 'tags',
  },
  {
    name: 'of bytes nobody has seen arrive brings those',
    row: verified(write('put', 'older', 1)),
    write: write('tags', 'e', 2),
    op: 'put',
  },
  { name: 'of a key nobody knows brings it', row: undefined, write: write('tags', 'e', 2), op: 'put' },
  {
    name: 'of a key that was deleted brings it',
    row: verified(write('delete', 'deleted-1', 1)),
    write: write('tags', 'e', 2),
    op: 'put',
  },
  {
    name: 'of a version that was there before any ledger makes no version',
    row: undefined,
    write: write('tags', 'e', 2, 'v1'),
    op: 'tags',
  },
];
for (const { name, row, write: one, op } of noted) {
  test(`a change of tags ${name}`, () => {
    const next = noteWrite(row, one, 9)!;
    assert.deepEqual([next.op, next.state, next.tagsAtMs], [op, 'pending', one.writtenAtMs]);
    assert.equal(noteWrite(next, one, 10), undefined, 'told again it is nothing new');
  });
}

test('bytes that arrive after their tags changed leave the tags to be brought', () => {
  const put = noteWrite(undefined, write('put', 'e', 1), 1)!;
  const tagged = noteWrite(put, write('tags', 'e', 5), 2)!;
  const outcome = { ...write('put', 'e', 1), state: 'verified', targetEtag: 't', targetVersion: 'tv' } as const;
  const arrived = settleWrite(tagged, outcome, 3)!;
  assert.deepEqual(
    [arrived.op, arrived.state, arrived.targetEtag, arrived.targetVersion, arrived.agreed],
    ['tags', 'pending', 't', 'tv', { sourceEtag: 'e', targetEtag: 't' }],
  );
  const failed = settleWrite(arrived, { ...write('tags', 'e', 5), state: 'failed', errorCode: 'OBJECT_LOCKED' }, 4)!;
  assert.deepEqual([failed.state, failed.tagsAtMs], ['failed', 5]);
  const done = settleWrite(failed, { ...write('tags', 'e', 5), state: 'verified' }, 5)!;
  assert.deepEqual([done.state, done.tagsAtMs, done.targetEtag], ['verified', undefined, 't']);
  const over = settleWrite(tagged, { ...outcome, writtenAtMs: 5 }, 3)!;
  assert.equal(over.state, 'verified');
});

test('a row keeps when tags changed, and rows of older programs are read', () => {
  const id = { key: 'k', version: '' };
  const plain = noteWrite(undefined, write('put', 'e', 1), 1)!;
  const rows = [
    plain,
    { ...plain, tagsAtMs: 5 },
    { ...plain, agreed: { sourceEtag: 'a', targetEtag: 'b' } },
    { ...plain, agreed: { sourceEtag: 'a', targetEtag: 'b' }, tagsAtMs: 5 },
  ];
  for (const row of rows) assert.deepEqual(unpackRow(id, packRow(row)), row);
  const older = packPlain([1, 0, 1, 1, 1, 0, 0, 'e', '', '', 0, 0]);
  assert.deepEqual(unpackRow(id, older), plain);
});

const change = (kind: LoggedChange['kind'], position: number, versionId = 'v2'): LoggedChange => ({
  ...{ position, kind, key: 'k', versionId, sizeBytes: 1, etag: 'e', atMs: position },
});
const rule = { prefix: '', versions: false, deletes: true, named: () => true };
const pages: { name: string; changes: LoggedChange[]; versions?: boolean; want: [Operation, number, string][] }[] = [
  { name: 'tags alone', changes: [change('tags', 1)], want: [['tags', 1, '']] },
  { name: 'tags of what was just written', changes: [change('put', 1), change('tags', 2)], want: [['put', 2, '']] },
  { name: 'what is written over tags', changes: [change('tags', 1), change('put', 2)], want: [['put', 2, '']] },
  { name: 'tags of what is deleted', changes: [change('tags', 1), change('delete', 2)], want: [['delete', 2, '']] },
  { name: 'tags of an older version, where the newest counts', changes: [change('version-tags', 1, 'v1')], want: [] },
  {
    name: 'tags of versions, where all count',
    changes: [change('version-tags', 1, 'v1'), change('tags', 2, 'v2'), change('version-tags', 3, 'v1')],
    versions: true,
    want: [
      ['tags', 2, 'v2'],
      ['tags', 3, 'v1'],
    ],
  },
];
for (const { name, changes, versions = false, want } of pages) {
  test(`a page of the change log with ${name}`, () => {
    const writes = writesOf(changes, { ...rule, versions });
    assert.deepEqual(
      writes.map(({ op, writtenAtMs, version }) => [op, writtenAtMs, version]),
      want,
    );
  });
}
