import { type Arena } from '../erasure/types.ts';
import { wideBlockBytes, wideBytes, wideHeaderBytes } from './block.ts';

/** Memory for a block, with room around it when a drive would want that (`StageBlock.place`). */
export interface BlockPlace {
  readonly bytes: Uint8Array;
  readonly place: Uint8Array | undefined;
  release(): void;
}

export function takePlace(arena: Arena, payloadBytes: number): BlockPlace {
  if (payloadBytes < wideBlockBytes) {
    const slab = arena.take(payloadBytes);
    return { bytes: slab.bytes, place: undefined, release: () => slab.release() };
  }
  const slab = arena.take(wideBytes(payloadBytes));
  const bytes = slab.bytes.subarray(wideHeaderBytes, wideHeaderBytes + payloadBytes);
  return { bytes, place: slab.bytes, release: () => slab.release() };
}
