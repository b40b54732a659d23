import { createKernelMemory, type KernelMemory } from './memory.ts';
import { bindPoly1305 } from './poly1305-kernel.ts';
import { createPowers, powerCount, tableBytes } from './poly1305-powers.ts';

/** One-time authenticator of RFC 8439 §2.5, one message after the other; belongs to one thread. */
export interface Poly1305 {
  /**
   * @param key32 r (clamped here) and s. Messages whose keys share r, as those of one repository do, are cheapest:
   * another r costs the making of a table, up to 1.5 ms
   * @param out where to put the 16 bytes; a new array when not given
   */
  mac(key32: Uint8Array, message: Uint8Array, out?: Uint8Array): Uint8Array;
}

const blockBytes = 16;
const stateBytes = 32;
/** Messages from elsewhere are copied in slices that stay in the cache of a core until they are read. */
const sliceBytes = 64 * 1024;

/** What `createPoly1305` takes of the memory it is given. */
export const poly1305MemoryBytes = tableBytes + stateBytes + sliceBytes + 256;

/** @param memory messages that lie in this memory are not copied */
export function createPoly1305(memory: KernelMemory = createKernelMemory(poly1305MemoryBytes)): Poly1305 {
  const kernel = bindPoly1305(memory.memory);
  const table = memory.take(tableBytes);
  const state = memory.take(stateBytes);
  const slice = memory.take(sliceBytes);
  const sum = new Uint16Array(state.buffer, state.byteOffset, 8);
  const top = new Int32Array(state.buffer, state.byteOffset + 16, 1);
  const knownR = new Uint8Array(16);
  const powers = createPowers(table);
  powers.begin(knownR);

  function useR(key: Uint8Array): void {
    if (beginsWith(key, knownR)) return;
    knownR.set(key.subarray(0, knownR.length));
    powers.begin(knownR);
  }

  function run(at: number, blocks: number): void {
    powers.need(Math.min(blocks, powerCount));
    kernel(at, blocks, table.byteOffset, state.byteOffset);
  }

  function takeBlocks(message: Uint8Array): void {
    const whole = message.length - (message.length % blockBytes);
    const address = memory.addressOf(message);
    if (address !== undefined) {
      run(address, whole / blockBytes);
      return;
    }
    for (let at = 0; at < whole; at += sliceBytes) {
      const end = Math.min(at + sliceBytes, whole);
      slice.set(message.subarray(at, end));
      run(slice.byteOffset, (end - at) / blockBytes);
    }
  }

  function takeRest(message: Uint8Array): void {
    const rest = message.length % blockBytes;
    if (rest === 0) return;
    slice.fill(0, 0, blockBytes);
    slice.set(message.subarray(message.length - rest));
    slice[rest] = 1;
    // The kernel gives every block its 2^128, which the last one has not when it is short.
    top[0] = (top[0] as number) - 1;
    run(slice.byteOffset, 1);
  }

  return {
    mac(key32, message, out = new Uint8Array(blockBytes)) {
      if (key32.length !== 32) throw new RangeError(`a key of Poly1305 has 32 bytes, not ${key32.length}`);
      useR(key32);
      state.fill(0);
      takeBlocks(message);
      takeRest(message);
      finish({ sum, top: top[0] as number }, key32, out);
      return out;
    },
  };
}

/** Reduces the sum, words of 16 bits and what lies above, modulo 2^130 - 5, and adds s to it modulo 2^128. */
function finish({ sum, top }: { sum: Uint16Array; top: number }, key32: Uint8Array, out: Uint8Array): void {
  // It is at least 2^130 - 5 if adding 5 brings it to 2^130; and then what the addition left below is the remainder.
  let carry = 5;
  for (let i = 0; i < 8; i += 1) carry = (carry + (sum[i] as number)) >>> 16;
  carry = top + carry >= 4 ? 5 : 0;
  for (let i = 0; i < 8; i += 1) {
    carry += (sum[i] as number) + ((key32[16 + 2 * i] as number) | ((key32[17 + 2 * i] as number) << 8));
    out[2 * i] = carry;
    out[2 * i + 1] = carry >>> 8;
    carry >>>= 16;
  }
}

/** Whether `bytes` begins with `start`. */
function beginsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  for (let i = 0; i < start.length; i += 1) if (start[i] !== bytes[i]) return false;
  return true;
}
