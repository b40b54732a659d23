/** The form of a message's body: fields one after the other, no names, no types; both sides know the order. */
import { type Ballot, maxBallot } from '../consensus/ballot.ts';

const initialBytes = 64 * 1024;
const two32 = 0x1_0000_0000;

/** A body that does not hold what its method says. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** Appends fields to a buffer that grows. `at` may be set back to undo what was appended. */
export class WireWriter {
  buffer: Buffer;
  at = 0;
  constructor(buffer: Buffer = Buffer.allocUnsafeSlow(initialBytes)) {
    this.buffer = buffer;
  }

  /** Makes room for so many bytes more. */
  reserve(count: number): void {
    const wanted = this.at + count;
    if (wanted <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
  }
  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.at++] = value;
  }
  boolean(value: boolean): void {
    this.byte(value ? 1 : 0);
  }
  /** 0 .. 2^53-1 in seven bits a byte, the lowest first. */
  count(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new WireError(`${value} is no count`);
    this.reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest & 0x7f) | 0x80;
      rest = rest > 0x7fff_ffff ? Math.floor(rest / 128) : rest >>> 7;
    }
    this.buffer[this.at++] = rest;
  }
  ballot(value: Ballot): void {
    this.reserve(8);
    this.buffer.writeUInt32LE(value % two32, this.at);
    this.buffer.writeUInt32LE(Math.floor(value / two32), this.at + 4);
    this.at += 8;
  }
  checksum(value: bigint): void {
    this.reserve(8);
    this.buffer.writeBigUInt64LE(value, this.at);
    this.at += 8;
  }
  bytes(value: Uint8Array): void {
    this.count(value.length);
    this.reserve(value.length);
    this.buffer.set(value, this.at);
    this.at += value.length;
  }
  optionalBytes(value: Uint8Array | undefined): void {
    this.boolean(value !== undefined);
    if (value !== undefined) this.bytes(value);
  }
  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.count(length);
    this.reserve(length);
    this.at += this.buffer.write(value, this.at);
  }
  optionalText(value: string | undefined): void {
    this.boolean(value !== undefined);
    if (value !== undefined) this.text(value);
  }
  list<T>(values: readonly T[], write: (writer: WireWriter, value: T) => void): void {
    this.count(values.length);
    for (const value of values) write(this, value);
  }
}

/** Takes the fields out again. Bytes are views of the body. Every method throws WireError where there is no such field. */
export class WireReader {
  readonly #buffer: Buffer;
  #at: number;
  constructor(buffer: Buffer, at = 0) {
    this.#buffer = buffer;
    this.#at = at;
  }

  #take(count: number): number {
    const from = this.#at;
    if (count > this.#buffer.length - from) throw new WireError('the message ends too early');
    this.#at = from + count;
    return from;
  }
  byte(): number {
    return this.#buffer[this.#take(1)]!;
  }
  boolean(): boolean {
    const value = this.byte();
    if (value > 1) throw new WireError(`neither true nor false: ${value}`);
    return value === 1;
  }
  count(): number {
    let value = 0;
    let scale = 1;
    for (let length = 0; length < 8; length++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw new WireError('a number larger than any that is sent');
  }
  ballot(): Ballot {
    const at = this.#take(8);
    const value = this.#buffer.readUInt32LE(at) + this.#buffer.readUInt32LE(at + 4) * two32;
    if (value > maxBallot) throw new WireError('a ballot larger than any');
    return value;
  }
  checksum(): bigint {
    return this.#buffer.readBigUInt64LE(this.#take(8));
  }
  bytes(): Buffer {
    const length = this.count();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }
  optionalBytes(): Buffer | undefined {
    return this.boolean() ? this.bytes() : undefined;
  }
  text(): string {
    const length = this.count();
    const at = this.#take(length);
    return this.#buffer.toString('utf8', at, at + length);
  }
  optionalText(): string | undefined {
    return this.boolean() ? this.text() : undefined;
  }
  list<T>(read: (reader: WireReader) => T): T[] {
    const length = this.count();
    // Every entry is at least a byte, so a length that lies cannot make a large array.
    if (length > this.#buffer.length - this.#at) throw new WireError('a list longer than its message');
    const values: T[] = [];
    for (let index = 0; index < length; index++) values.push(read(this));
    return values;
  }
  /** Nothing may be left: a message with more in it is of another protocol. */
  end(): void {
    if (this.#at !== this.#buffer.length) throw new WireError('the message is longer than it should be');
  }
}
