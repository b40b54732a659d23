import { valueStartIn } from '../consensus/envelope.ts';
import { StorageError } from '../errors.ts';
import { writeBallot } from '../consensus/ballot.ts';
import { asBuffer } from './bytes.ts';

/**
 * What a scan comes upon, in key order and in one piece of memory: a listing has a thousand entries a page, and an
 * object with two views for each of them costs more than all else that is done with it.
 *
 * An entry: flags (1), length of the key (2), ballot (8), length of the state (4), key, state. A roll-up has ballot 0
 * and no state; its key is what the keys it stands for begin with.
 */
const headBytes = 15;
const lengthAt = 1;
const ballotAt = 3;
const stateLengthAt = 11;
const bits = { rollup: 1, decided: 2, tombstone: 4, hidden: 8 } as const;

export interface EntryHead {
  ballot: number;
  decided: boolean;
  tombstone: boolean;
  hidden: boolean;
}

/** The bytes [from, to) of some. */
export interface Span {
  bytes: Buffer;
  from: number;
  to: number;
}
export function spanOf(bytes: Uint8Array): Span {
  return { bytes: asBuffer(bytes), from: 0, to: bytes.length };
}
const noState: Span = { bytes: Buffer.alloc(0), from: 0, to: 0 };

/** Puts entries one after the other into memory that grows. */
export class EntryPacker {
  #bytes: Buffer;
  #at = 0;
  #last = 0;
  constructor(expectedBytes = 64 * 1024) {
    this.#bytes = Buffer.allocUnsafe(expectedBytes);
  }

  /** Without a state: as a digest is made over it. */
  row(key: Uint8Array, head: EntryHead, state: Span = noState): void {
    const { from, to } = state;
    const at = this.#begin(key, to - from);
    const bytes = this.#bytes;
    bytes[at] =
      (head.decided ? bits.decided : 0) | (head.tombstone ? bits.tombstone : 0) | (head.hidden ? bits.hidden : 0);
    writeBallot(bytes, at + ballotAt, head.ballot);
    if (to > from) state.bytes.copy(bytes, this.#at - (to - from), from, to);
  }

  rollup(prefix: Uint8Array): void {
    const at = this.#begin(prefix, 0);
    this.#bytes[at] = bits.rollup;
    this.#bytes.fill(0, at + ballotAt, at + stateLengthAt);
  }

  /** Key of the entry that was added last. */
  lastKey(): Buffer {
    const from = this.#last + headBytes;
    return Buffer.from(this.#bytes.subarray(from, from + this.#bytes.readUInt16BE(this.#last + lengthAt)));
  }

  /** All of it, and what is to stand behind it; the packer is used no more. */
  end(tail?: Uint8Array): Buffer {
    if (tail !== undefined) {
      this.#room(tail.length);
      this.#bytes.set(tail, this.#at);
      this.#at += tail.length;
    }
    return this.#bytes.subarray(0, this.#at);
  }

  #begin(key: Uint8Array, stateBytes: number): number {
    this.#room(headBytes + key.length + stateBytes);
    const at = this.#at;
    const bytes = this.#bytes;
    bytes[at + lengthAt] = key.length >>> 8;
    bytes[at + lengthAt + 1] = key.length & 0xff;
    bytes.writeUInt32BE(stateBytes, at + stateLengthAt);
    bytes.set(key, at + headBytes);
    this.#last = at;
    this.#at = at + headBytes + key.length + stateBytes;
    return at;
  }

  #room(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafe((this.#at + count) * 2);
    this.#bytes.copy(wider, 0, 0, this.#at);
    this.#bytes = wider;
  }
}

/** Goes over packed entries: what it shows is of the entry it stands at. */
export class EntryCursor {
  readonly bytes: Buffer;
  keyStart = 0;
  keyEnd = 0;
  /** The state without its envelope. */
  valueStart = 0;
  valueEnd = 0;
  /** There is an entry here. */
  valid = false;
  constructor(bytes: Uint8Array) {
    this.bytes = asBuffer(bytes);
    this.#stand(0);
  }

  get isRow(): boolean {
    return (this.#flags & bits.rollup) === 0;
  }
  get hidden(): boolean {
    return (this.#flags & bits.hidden) !== 0;
  }
  /** A view. */
  get key(): Buffer {
    return this.bytes.subarray(this.keyStart, this.keyEnd);
  }
  /** A view. */
  get value(): Buffer {
    return this.bytes.subarray(this.valueStart, this.valueEnd);
  }

  next(): void {
    this.#stand(this.valueEnd);
  }

  get #flags(): number {
    return this.bytes[this.keyStart - headBytes]!;
  }

  #stand(at: number): void {
    const { bytes } = this;
    this.valid = at < bytes.length;
    if (!this.valid) return;
    if (at + headBytes > bytes.length) throw tornPage();
    this.keyStart = at + headBytes;
    this.keyEnd = this.keyStart + ((bytes[at + lengthAt]! << 8) | bytes[at + lengthAt + 1]!);
    const stateBytes = bytes.readUInt32BE(at + stateLengthAt);
    this.valueEnd = this.keyEnd + stateBytes;
    if (this.valueEnd > bytes.length) throw tornPage();
    this.valueStart = stateBytes === 0 ? this.keyEnd : valueStartIn(bytes, this.keyEnd);
  }
}

function tornPage(): StorageError {
  return new StorageError('Corrupt', 'a page of a scan ends in the middle of an entry');
}
