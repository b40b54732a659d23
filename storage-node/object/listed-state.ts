import { type Checksum, type ListedObject } from './model.ts';
import { algorithms, decodeState, usualClass } from './state-codec.ts';

type Listed = Omit<ListedObject, 'key'>;

/** Types of MessagePack (its specification, "Formats"), as far as a version of an object has them. */
const bin8 = 0xc4;
const float64 = 0xcb;
const uint8 = 0xcc;
const uint16 = 0xcd;
const uint32 = 0xce;
const str8 = 0xd9;
const md5Bytes = 16;

/** What a listing shows of the newest version in a packed state (see state-codec.ts) that lies at [start, end). */
export function listedState(bytes: Buffer, start: number, end: number): Listed {
  return readListed(new Reader(bytes, start, end)) ?? inFull(bytes.subarray(start, end));
}

function inFull(bytes: Buffer): Listed {
  const { lastModifiedMs, etag, sizeBytes, storageClass, checksum } = decodeState(bytes).versions[0]!;
  return { lastModifiedMs, etag, sizeBytes, storageClass, checksum };
}

/**
 * Reads the usual form without making the objects of the whole state: one part whose MD5 is the ETag. A page of a
 * listing has a thousand of them. Undefined for every other form.
 */
function readListed(from: Reader): Listed | undefined {
  if (from.array() === 0) return undefined;
  const fields = from.array();
  // What is not usual about the storage class would stand in the tenth.
  if (fields < 4 || fields > 9) return undefined;
  from.number();
  const lastModifiedMs = from.number();
  const etag = from.md5();
  if (from.array() !== 3) return undefined;
  from.skip();
  const sizeBytes = from.number();
  from.number();
  if (fields > 4) from.skip();
  const checksum = fields > 5 ? from.checksum() : undefined;
  return from.failed ? undefined : { lastModifiedMs, etag, sizeBytes, storageClass: usualClass, checksum };
}

/** Takes values one after the other; `failed` once one was of another type than asked for. */
class Reader {
  failed = false;
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** How many entries follow; 0 when it is no short array. */
  array(): number {
    const type = this.#type();
    return (type & 0xf0) === 0x90 ? type & 0x0f : this.#fail();
  }

  number(): number {
    const type = this.#type();
    if (type < 0x80) return type;
    switch (type) {
      case uint8:
        return this.#bytes[this.#take(1)]!;
      case uint16:
        return this.#has(2) ? this.#bytes.readUInt16BE(this.#take(2)) : 0;
      case uint32:
        return this.#has(4) ? this.#bytes.readUInt32BE(this.#take(4)) : 0;
      case float64:
        return this.#has(8) ? this.#bytes.readDoubleBE(this.#take(8)) : 0;
      default:
        return this.#fail();
    }
  }

  /** 16 bytes in hex. */
  md5(): string {
    if (this.#type() !== bin8 || this.#bytes[this.#take(1)] !== md5Bytes) {
      this.#fail();
      return '';
    }
    const at = this.#take(md5Bytes);
    return this.#bytes.toString('hex', at, at + md5Bytes);
  }

  /** Over bytes or a short text, or the 0 that stands for none. */
  skip(): void {
    const type = this.#type();
    if (type === bin8 || type === str8) this.#take(this.#bytes[this.#take(1)]!);
    else if ((type & 0xe0) === 0xa0) this.#take(type & 0x1f);
    else if (type !== 0) this.#fail();
  }

  /** Its kind; of a checksum's value listings say nothing. */
  checksum(): Pick<Checksum, 'algorithm' | 'type'> | undefined {
    if (this.#bytes[this.#at] === 0) return undefined;
    if (this.array() !== 2) return undefined;
    const kinds = checksumKinds[this.number()];
    const isText = this.#bytes[this.#at] !== bin8;
    this.skip();
    if (kinds === undefined) this.#fail();
    return isText ? kinds?.composite : kinds?.fullObject;
  }

  #type(): number {
    return this.#bytes[this.#take(1)]!;
  }

  #has(count: number): boolean {
    if (this.#at + count > this.#end) this.failed = true;
    return !this.failed;
  }

  /** Where the next bytes begin; of nothing after a failure. */
  #take(count: number): number {
    if (!this.#has(count)) return this.#end;
    this.#at += count;
    return this.#at - count;
  }

  #fail(): number {
    this.failed = true;
    return 0;
  }
}

const checksumKinds = algorithms.map((algorithm) => ({
  composite: { algorithm, type: 'COMPOSITE' } as const,
  fullObject: { algorithm, type: 'FULL_OBJECT' } as const,
}));
