import { createHash } from 'node:crypto';
import { type SignedChunks } from './gate.ts';
import { S3Error } from './s3-error.ts';
import { sameText, signHex } from './sigv4.ts';

/** The longest line between chunks: size, extension with signature, or a trailer. */
const longestLine = 8 * 1024;
/** S3's own chunks are at most 16 MiB. */
const largestChunk = 64 * 1024 * 1024;
const emptyHash = createHash('sha256').digest('hex');

/** Takes aws-chunked framing off, checking the chain of signatures on the way. */
export interface ChunkDecoder {
  /** Hands on the data found; what is handed on is proved only once `end` has returned. */
  push(bytes: Uint8Array, data: (bytes: Uint8Array) => void): void;
  /** @throws S3Error IncompleteBody. @returns the trailer's fields, lower case. */
  end(): ReadonlyMap<string, string>;
}

type State = 'size' | 'data' | 'data-end' | 'trailer' | 'done';

export function createChunkDecoder(options: { signed: SignedChunks | undefined; trailer: boolean }): ChunkDecoder {
  const { signed } = options;
  const trailer = new Map<string, string>();
  let state: State = 'size';
  let line = '';
  let left = 0;
  let previous = signed?.seed ?? '';
  let claimed = '';
  let hash = signed === undefined ? undefined : createHash('sha256');

  const endChunk = (): void => {
    if (signed !== undefined) {
      const text = `AWS4-HMAC-SHA256-PAYLOAD\n${signed.stamp}\n${signed.scope}\n${previous}\n${emptyHash}\n${hash!.digest('hex')}`;
      if (!sameText(signHex(signed.key, text), claimed)) throw mismatch();
      previous = claimed;
      hash = createHash('sha256');
    }
  };
  const takeSize = (text: string): void => {
    const match = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(text);
    if (match === null || (signed !== undefined) !== (match[2] !== undefined)) throw malformed();
    left = Number.parseInt(match[1]!, 16);
    if (left > largestChunk) throw malformed();
    claimed = match[2] ?? '';
    if (left > 0) {
      state = 'data';
      return;
    }
    endChunk();
    state = 'trailer';
  };
  const takeTrailer = (text: string): void => {
    if (text === '') {
      checkTrailer();
      state = 'done';
      return;
    }
    const colon = text.indexOf(':');
    if (colon < 1 || !options.trailer || trailer.size > 8) throw malformed();
    const name = text.slice(0, colon).trim().toLowerCase();
    if (trailer.has(name)) throw malformed();
    trailer.set(name, text.slice(colon + 1).trim());
  };
  /** The trailer is signed like a chunk, over its own lines. */
  const checkTrailer = (): void => {
    if (signed === undefined || !options.trailer) return;
    const signature = trailer.get('x-amz-trailer-signature') ?? '';
    const lines = [...trailer]
      .filter(([name]) => name !== 'x-amz-trailer-signature')
      .map(([name, value]) => `${name}:${value}\n`);
    const digest = createHash('sha256').update(lines.join('')).digest('hex');
    const text = `AWS4-HMAC-SHA256-TRAILER\n${signed.stamp}\n${signed.scope}\n${previous}\n${digest}`;
    if (!sameText(signHex(signed.key, text), signature)) throw mismatch();
  };
  const takeLine = (text: string): void => {
    if (state === 'size') takeSize(text);
    else if (state === 'data-end') {
      if (text !== '') throw malformed();
      endChunk();
      state = 'size';
    } else if (state === 'trailer') takeTrailer(text);
    else throw malformed();
  };
  return {
    push(bytes, data) {
      let at = 0;
      while (at < bytes.length) {
        if (state === 'data') {
          const piece = bytes.subarray(at, at + left);
          hash?.update(piece);
          data(piece);
          left -= piece.length;
          at += piece.length;
          if (left === 0) state = 'data-end';
          continue;
        }
        if (state === 'done') throw malformed();
        const feed = bytes.indexOf(0x0a, at);
        const end = feed < 0 ? bytes.length : feed + 1;
        line += Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1');
        if (line.length > longestLine) throw malformed();
        at = end;
        if (feed < 0) return;
        if (!line.endsWith('\r\n')) throw malformed();
        const text = line.slice(0, -2);
        line = '';
        takeLine(text);
      }
    },
    end() {
      // Some clients leave out the empty line behind a last chunk that has no trailer.
      if (state === 'trailer' && line === '' && trailer.size === 0 && !(signed !== undefined && options.trailer))
        state = 'done';
      if (state !== 'done') {
        throw new S3Error('IncompleteBody', 400, 'The request body terminated unexpectedly');
      }
      return trailer;
    },
  };
}

function malformed(): S3Error {
  return new S3Error('InvalidRequest', 400, 'The body is not a well-formed aws-chunked body.');
}

function mismatch(): S3Error {
  return new S3Error('SignatureDoesNotMatch', 403, 'The signature of a chunk does not match its data.');
}
