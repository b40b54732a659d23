/**
 * `node scripts/run.mjs bench/backup-kernels.ts [--corpus DIR] [--rounds N] [--only NAME]`: what the kernels of backups
 * and the functions of Node beside them take, in µs per call and MB/s: CPU time of the process, the median of the rounds
 * and the best. Other work on the machine takes caches and clock and so makes CPU time longer, too.
 */
import { createCipheriv, createHash, hash, randomBytes, randomFillSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type Chunker, chunkerMemoryBytes, createChunker } from '../activities/backup/kernels/chunker.ts';
import { createKernelMemory } from '../activities/backup/kernels/memory.ts';
import { createPoly1305, poly1305MemoryBytes } from '../activities/backup/kernels/poly1305.ts';
import { createZstd } from '../activities/backup/kernels/zstd.ts';

const { values: args } = parseArgs({
  options: {
    corpus: { type: 'string', default: path.join(import.meta.dirname, '..', 'node_modules') },
    rounds: { type: 'string', default: '9' },
    only: { type: 'string', default: '' },
  },
});

const sizes = [200, 2048, 18 * 1024, 128 * 1024, 1024 * 1024];
const corpusBytes = 32 * 2 ** 20;
const streamBytes = 64 * 2 ** 20;
const roundMs = 25;

interface Row {
  name: string;
  size: number;
  work: () => void;
  ratio: number | undefined;
}
const rows: Row[] = [];

const memory = createKernelMemory(streamBytes + poly1305MemoryBytes + chunkerMemoryBytes);
const random = memory.take(streamBytes);
for (let at = 0; at < streamBytes; at += 2 ** 20) randomFillSync(random, at, 2 ** 20);
const outside = Buffer.from(random.subarray(0, 2 ** 20));

console.log('kernel                          bytes      µs/call      MB/s   best  ratio');
benchPoly1305();
benchChunker();
benchNode();
benchZstd();
measure();

function benchPoly1305(): void {
  const poly1305 = createPoly1305(memory);
  const [key, tag] = [randomBytes(32), new Uint8Array(16)];
  for (const size of sizes) {
    row('poly1305', size, () => poly1305.mac(key, random.subarray(0, size), tag));
    row('poly1305, copied in', size, () => poly1305.mac(key, outside.subarray(0, size), tag));
  }
}

function benchChunker(): void {
  const chunker = createChunker({ seed: randomBytes(32) }, memory);
  row('chunker', streamBytes, () => chunkAll(chunker, random));
  const copy = Buffer.from(random);
  row('chunker, copied in', streamBytes, () => chunkAll(chunker, copy));
}

function chunkAll(chunker: Chunker, bytes: Uint8Array): void {
  chunker.reset();
  let start = 0;
  for (let length = -1; length !== 0; start += length) length = chunker.next(bytes, start, bytes.length);
}

function benchNode(): void {
  const key = randomBytes(32);
  const iv = randomBytes(16);
  for (const size of sizes) {
    const bytes = random.subarray(0, size);
    row('sha256, crypto.hash', size, () => hash('sha256', bytes, 'buffer'));
    row('sha256, createHash', size, () => createHash('sha256').update(bytes).digest());
    row('aes-256-ctr, createCipheriv', size, () => createCipheriv('aes-256-ctr', key, iv).update(bytes));
    const kept = createCipheriv('aes-256-ctr', key, iv);
    row('aes-256-ctr, kept', size, () => kept.update(bytes));
  }
}

function benchZstd(): void {
  const corpus = readCorpus(args.corpus);
  for (const size of sizes) {
    const pieces = cut(corpus, size);
    for (const level of [-5, 1, 2, 3]) {
      const zstd = createZstd({ level });
      const ratio = mean(pieces.map((piece) => (zstd.compress(piece)?.length ?? size) / size));
      row(
        `zstd level ${level}`,
        size,
        each(pieces, (piece) => zstd.compress(piece)),
        ratio,
      );
    }
    row(
      'zstd level 3, zlib',
      size,
      each(pieces, (piece) => zstdCompressSync(piece)),
    );
    const noise = createZstd();
    row('zstd level 3, noise', size, () => noise.compress(random.subarray(0, size)));
    benchUnzstd(pieces, size);
  }
}

function benchUnzstd(pieces: readonly Buffer[], size: number): void {
  const frames = pieces.map((piece) => zstdCompressSync(piece));
  const zstd = createZstd();
  const out = new Uint8Array(size);
  row(
    'unzstd',
    size,
    each(frames, (frame) => zstd.decompress(frame, size)),
  );
  row(
    'unzstd, into',
    size,
    each(frames, (frame) => zstd.decompressInto(frame, out)),
  );
  row(
    'unzstd, zlib',
    size,
    each(frames, (frame) => zstdDecompressSync(frame)),
  );
}

/** One after the other, with every call of what it returns. */
function each(pieces: readonly Buffer[], work: (piece: Buffer) => void): () => void {
  let next = 0;
  return () => {
    work(pieces[next] as Buffer);
    next = (next + 1) % pieces.length;
  };
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const count = Math.min(Math.floor(bytes.length / size), 2000);
  const step = Math.floor(bytes.length / count);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * step, i * step + size));
}

/** Files of all kinds, every so many of them. */
function readCorpus(dir: string): Buffer {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const parts: Buffer[] = [];
  let total = 0;
  for (let i = 0; i < files.length && total < corpusBytes; i += 1) {
    const file = files[(i * 7919) % files.length];
    if (file === undefined) continue;
    const part = readFileSync(path.join(file.parentPath, file.name)).subarray(0, 4 * 2 ** 20);
    parts.push(part);
    total += part.length;
  }
  return Buffer.concat(parts);
}

function row(name: string, size: number, work: () => void, ratio?: number): void {
  if (name.includes(args.only)) rows.push({ name, size, work, ratio });
}

/** All rows, again and again: other work on the machine comes and goes, and meets no row alone. */
function measure(): void {
  const counts = rows.map(({ work }) => callsFor(work));
  const rounds = Array.from({ length: Number(args.rounds) }, () =>
    rows.map(({ work }, i) => cpuUs(work, counts[i] as number) / (counts[i] as number)),
  );
  for (const [i, one] of rows.entries()) {
    print(
      one,
      rounds.map((round) => round[i] as number),
    );
  }
}

function callsFor(work: () => void): number {
  let calls = 1;
  while (cpuUs(work, calls) < roundMs * 1000) calls *= 2;
  return calls;
}

function print({ name, size, ratio }: Row, us: number[]): void {
  us.sort((a, b) => a - b);
  const [best, median] = [us[0] as number, us[Math.floor(us.length / 2)] as number];
  const columns = [
    String(size).padStart(9),
    median.toFixed(2).padStart(12),
    (size / median).toFixed(0).padStart(9),
    (size / best).toFixed(0).padStart(6),
  ];
  console.log(name.padEnd(28) + columns.join(' ') + (ratio === undefined ? '' : ratio.toFixed(3).padStart(7)));
}

function cpuUs(work: () => void, calls: number): number {
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i += 1) work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
