import { type Poly1305 } from './sealing.ts';
// TEMPORARY until ../kernels/poly1305.ts is there.
const p = (1n << 130n) - 5n;
const le = (b: Uint8Array): bigint => BigInt(`0x${Buffer.from(b).reverse().toString('hex') || '0'}`);
export function createPoly1305(): Poly1305 {
  return {
    mac(key32, message, out = new Uint8Array(16)) {
      const r = le(key32.subarray(0, 16));
      let h = 0n;
      for (let i = 0; i < message.length; i += 16) {
        const part = message.subarray(i, i + 16);
        h = ((h + le(part) + (1n << BigInt(part.length * 8))) * r) % p;
      }
      const tag = (h + le(key32.subarray(16, 32))) & ((1n << 128n) - 1n);
      out.set(Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse());
      return out;
    },
  };
}
