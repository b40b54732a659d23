/** The files of a base backup are written out of buffers that are used again: none of them too early, none never. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { BackupWriter } from '../../../activities/backup/postgres/backup-writer.ts';

let root: string;
before(() => {
  root = mkdtempSync(path.join(tmpdir(), 'muster-backup-writer-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

const bufferBytes = 64 << 10;

/** A file's content says which file it is and where in it one is. */
function contentOf(file: number, sizeBytes: number): Buffer {
  const content = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 8 <= sizeBytes; at += 8) content.writeDoubleLE(file * 1e9 + at, at);
  return content;
}

/** Sends files as a connection does: in buffers that hold the end of one and the beginning of the next. */
class Sender {
  readonly #writer: BackupWriter;
  readonly #idle: Buffer[] = [];
  #buffer: Buffer = Buffer.alloc(bufferBytes);
  #filled = 0;
  lent = 0;

  constructor(writer: BackupWriter) {
    this.#writer = writer;
  }

  async file(name: string, content: Buffer): Promise<void> {
    this.#writer.entry({ name, kind: 'file', linkTarget: '' });
    for (let at = 0; at < content.length;) {
      const copied = content.copy(this.#buffer, this.#filled, at);
      this.#writer.data(this.#buffer.subarray(this.#filled, this.#filled + copied));
      this.#filled += copied;
      at += copied;
      if (this.#filled === bufferBytes) await this.handOver();
    }
  }

  async handOver(): Promise<void> {
    const buffer = this.#buffer;
    this.lent++;
    this.#writer.handOver(() => {
      this.lent--;
      buffer.fill(0xff);
      this.#idle.push(buffer);
    });
    [this.#buffer, this.#filled] = [this.#idle.pop() ?? Buffer.alloc(bufferBytes), 0];
    if (this.#writer.full) await this.#writer.room();
  }
}

const size = fc.oneof(
  fc.constantFrom(0, 1, bufferBytes, 256 << 10, (256 << 10) + 1),
  fc.nat({ max: 20_000 }),
  fc.nat({ max: 2_000_000 }),
);

const ways = [
  { how: 'at once', sync: false },
  { how: 'aside', sync: false, patienceMs: 0 },
  { how: 'aside and synced', sync: true, patienceMs: 0 },
  { how: 'at once and synced', sync: true },
];
for (const { how, ...options } of ways) {
  test(`every byte comes to the file it was sent for, and every buffer comes back, written ${how}`, async () => {
    const sizes = fc.array(size, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, async (sizesBytes) => {
        const dir = mkdtempSync(path.join(root, 'tree-'));
        const writer = new BackupWriter(dir, options);
        const sender = new Sender(writer);
        for (const [index, sizeBytes] of sizesBytes.entries()) {
          await sender.file(String(index), contentOf(index, sizeBytes));
        }
        await sender.handOver();
        await writer.end();
        assert.equal(sender.lent, 0);
        assert.equal(readdirSync(dir).length, sizesBytes.length);
        for (const [index, sizeBytes] of sizesBytes.entries()) {
          assert.ok(readFileSync(path.join(dir, String(index))).equals(contentOf(index, sizeBytes)), `file ${index}`);
        }
        rmSync(dir, { recursive: true });
      }),
      { numRuns: 25 },
    );
  });
}

test('directories and links are made, and nothing outside', () => {
  const dir = mkdtempSync(path.join(root, 'kinds-'));
  const writer = new BackupWriter(dir, { sync: false });
  writer.entry({ name: 'base/1', kind: 'directory', linkTarget: '' });
  writer.entry({ name: 'base/link', kind: 'symlink', linkTarget: '/elsewhere' });
  assert.deepEqual(readdirSync(path.join(dir, 'base')).toSorted(), ['1', 'link']);
  assert.equal(readlinkSync(path.join(dir, 'base', 'link')), '/elsewhere');
  assert.throws(() => writer.entry({ name: '../out', kind: 'file', linkTarget: '' }), /leads outside/);
});

test('a file that is there already fails the backup, small or large, and no buffer stays away', async () => {
  for (const [sizeBytes, patienceMs] of [
    [100, 0],
    [1_000_000, 0],
    [1_000_000, 50],
  ] as const) {
    const writer = new BackupWriter(mkdtempSync(path.join(root, 'twice-')), { sync: false, patienceMs });
    const sender = new Sender(writer);
    await assert.rejects(async () => {
      for (let n = 0; n < 2; n++) await sender.file('same', contentOf(n, sizeBytes));
      await sender.handOver();
      await writer.end();
    }, /EEXIST/);
    await writer.settle();
    assert.equal(sender.lent, 0);
  }
});

/** Run by a shell that lets files grow to one megabyte: the kernel writes a part, then refuses. */
const tooLarge = `
  import { BackupWriter } from ${JSON.stringify(path.resolve('activities/backup/postgres/backup-writer.ts'))};
  process.on('SIGXFSZ', () => undefined);
  const writer = new BackupWriter(process.argv[1], { sync: false, patienceMs: Number(process.argv[2]) });
  writer.entry({ name: 'file', kind: 'file', linkTarget: '' });
  writer.data(Buffer.alloc(1_500_000));
  await writer.end().catch((err) => console.log(err.code));
`;

test('a file that is written in part only fails the backup with the reason of the system', () => {
  const shell = 'ulimit -f 1024; exec "$0" --disable-warning=ExperimentalWarning --input-type=module -e "$@"';
  for (const patienceMs of ['0', '50']) {
    const args = ['-c', shell, process.execPath, tooLarge, '--', mkdtempSync(path.join(root, 'full-')), patienceMs];
    const { stdout, stderr } = spawnSync('bash', args, { encoding: 'utf8' });
    assert.equal(stdout.trim(), 'EFBIG', stderr);
  }
});
