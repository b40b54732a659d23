import { hkdfSync } from 'node:crypto';
import type { RepositoryHandle } from '../repository/attach.ts';
import { chunkerMemoryBytes, createChunker } from '../kernels/chunker.ts';
import { createKernelMemory } from '../kernels/memory.ts';
import { createCutter, type Cutter } from './cutter.ts';

/** Twice the largest piece, so that a piece that was begun and one more read always fit. */
const windowBytes = 16 * 2 ** 20;

/** Cuts files where their content says. The places follow from the key of the repository: they tell nobody else anything. */
export function createFileCutter(repository: RepositoryHandle): Cutter {
  const memory = createKernelMemory(windowBytes + chunkerMemoryBytes + 65_536);
  const chunker = createChunker({ seed: seedOf(repository) }, memory);
  return createCutter(chunker, memory.take(windowBytes));
}

function seedOf({ masterKey, config }: RepositoryHandle): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', masterKey.encrypt, config.id, 'muster: where files are cut', 32));
}
