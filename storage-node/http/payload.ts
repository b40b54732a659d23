import { createHash, type Hash } from 'node:crypto';
import { type IncomingMessage } from 'node:http';
import { createChecksum, type RunningChecksum } from '../hash/checksums.ts';
import { type Checksum, type ChecksumAlgorithm } from '../object/model.ts';
import { type ChunkDecoder, createChunkDecoder } from './aws-chunked.ts';
import { type BodyProof } from './gate.ts';
import { type BodySink, type Payload, type PayloadProof } from './operation.ts';
import { S3Error } from './s3-error.ts';

const headerOf: Record<string, ChecksumAlgorithm> = {
  'x-amz-checksum-crc32': 'CRC32',
  'x-amz-checksum-crc32c': 'CRC32C',
  'x-amz-checksum-crc64nvme': 'CRC64NVME',
  'x-amz-checksum-sha1': 'SHA1',
  'x-amz-checksum-sha256': 'SHA256',
};
/** A body must come at least this fast, judged over `slowMs`; a client that sends less is given up. */
const leastBytes = 1;
const slowMs = 60_000;

interface Expected {
  bytes: number | undefined;
  md5: string | undefined;
  /** The checksum claimed beforehand, or the name of the trailer that will bring it. */
  checksum: { algorithm: ChecksumAlgorithm; value: string | undefined; trailer: string | undefined } | undefined;
}

/** The body of a request the gate admitted. @throws S3Error for claims about it that are malformed. */
export function payloadOf(
  message: IncomingMessage,
  headers: Readonly<Record<string, string>>,
  proof: BodyProof,
): Payload {
  const expected = expectedOf(headers, proof);
  let used = false;
  const pipe: Payload['pipe'] = (target) => {
    if (used) throw new Error('the body was read twice');
    used = true;
    return pump(message, { proof, expected, target });
  };
  return {
    expectedBytes: expected.bytes,
    pipe,
    async bytes(limit) {
      if ((expected.bytes ?? 0) > limit) throw tooLong();
      const chunks: Uint8Array[] = [];
      let total = 0;
      const md5 = expected.md5 === undefined ? undefined : createHash('md5');
      await pipe({
        write(chunk) {
          total += chunk.length;
          if (total > limit) throw tooLong();
          md5?.update(chunk);
          chunks.push(chunk);
          return true;
        },
        drained: () => Promise.resolve(),
      });
      if (md5 !== undefined && md5.digest('hex') !== expected.md5) throw badDigest('Content-MD5');
      return Buffer.concat(chunks);
    },
  };
}

function tooLong(): S3Error {
  return new S3Error('MaxMessageLengthExceeded', 400, 'Your request was too large.');
}

function badDigest(what: string): S3Error {
  return new S3Error('BadDigest', 400, `The ${what} you specified did not match what we received.`);
}

function expectedOf(headers: Readonly<Record<string, string>>, proof: BodyProof): Expected {
  const chunked = proof.kind === 'chunked';
  const declared = chunked ? headers['x-amz-decoded-content-length'] : headers['content-length'];
  if (chunked && declared === undefined)
    throw new S3Error('MissingContentLength', 411, 'You must provide the x-amz-decoded-content-length HTTP header.');
  if (declared !== undefined && !/^\d{1,15}$/.test(declared))
    throw new S3Error('InvalidArgument', 400, 'The length of the body is no number.');
  return {
    bytes: declared === undefined ? undefined : Number(declared),
    md5: md5Of(headers['content-md5']),
    checksum: checksumOf(headers, proof),
  };
}

function md5Of(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== value) {
    throw new S3Error('InvalidDigest', 400, 'The Content-MD5 you specified is not valid.');
  }
  return bytes.toString('hex');
}

function checksumOf(headers: Readonly<Record<string, string>>, proof: BodyProof): Expected['checksum'] {
  const given = Object.keys(headerOf).filter((name) => headers[name] !== undefined);
  if (given.length > 1)
    throw new S3Error(
      'InvalidRequest',
      400,
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  const [name] = given;
  if (name !== undefined) return { algorithm: headerOf[name]!, value: headers[name]!, trailer: undefined };
  const trailer = headers['x-amz-trailer']?.toLowerCase();
  if (trailer === undefined) return undefined;
  const algorithm = headerOf[trailer];
  if (algorithm === undefined || proof.kind !== 'chunked' || !proof.trailer) {
    throw new S3Error('InvalidRequest', 400, 'The value specified in the x-amz-trailer header is not supported');
  }
  return { algorithm, value: undefined, trailer };
}

interface Pump {
  proof: BodyProof;
  expected: Expected;
  target: BodySink;
}

/** Pushes the body through; ends when all of it was handed on and everything said about it was found true. */
function pump(message: IncomingMessage, { proof, expected, target }: Pump): Promise<PayloadProof> {
  const decoder: ChunkDecoder | undefined = proof.kind === 'chunked' ? createChunkDecoder(proof) : undefined;
  const sha256: Hash | undefined = proof.kind === 'sha256' ? createHash('sha256') : undefined;
  const running: RunningChecksum | undefined =
    expected.checksum === undefined ? undefined : createChecksum(expected.checksum.algorithm);
  let received = 0;
  let recent = 0;
  return new Promise((resolve, reject) => {
    let over = false;
    const pace = setInterval(() => {
      if (recent < leastBytes && !message.isPaused())
        fail(
          new S3Error(
            'RequestTimeout',
            400,
            'Your socket connection to the server was not read from or written to within the timeout period.',
          ),
        );
      recent = 0;
    }, slowMs);
    const end = (): boolean => {
      if (over) return false;
      over = true;
      clearInterval(pace);
      message.off('data', onData).off('end', onEnd).off('error', onLost).off('close', onLost);
      return true;
    };
    const fail = (error: unknown): void => {
      if (!end()) return;
      // The rest is read and thrown away, so that the answer can reach the client.
      message.on('error', () => {}).resume();
      reject(error);
    };
    const give = (bytes: Uint8Array): void => {
      if (bytes.length === 0) return;
      received += bytes.length;
      if (expected.bytes !== undefined && received > expected.bytes) {
        throw new S3Error('InvalidRequest', 400, 'The body is longer than it was said to be.');
      }
      sha256?.update(bytes);
      running?.update(bytes);
      if (target.write(bytes) || message.isPaused()) return;
      message.pause();
      target.drained().then(() => message.resume(), fail);
    };
    const onData = (chunk: Buffer): void => {
      recent += chunk.length;
      try {
        if (decoder === undefined) give(chunk);
        else decoder.push(chunk, give);
        if (target.keepsNothing === true) giveBack(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = (): void => {
      try {
        const trailer = decoder?.end();
        const result = prove({ expected, received, sha256, running, proof, trailer });
        if (end()) resolve(result);
      } catch (error) {
        fail(error);
      }
    };
    const onLost = (): void => fail(new S3Error('IncompleteBody', 400, 'The request body terminated unexpectedly'));
    message.on('data', onData).on('end', onEnd).on('error', onLost).on('close', onLost);
  });
}

/** Smaller pieces share their memory with others. */
const ownMemoryBytes = 16 * 1024;

/**
 * Frees a piece of a body now. Left to the garbage collector, the memory outside its heap made it mark the whole heap every
 * six uploads of 10 MiB, a fifth of all processor time.
 */
function giveBack(chunk: Buffer): void {
  const memory = chunk.buffer as ArrayBuffer & { transfer?: (bytes: number) => ArrayBuffer };
  if (chunk.length >= ownMemoryBytes && chunk.length === memory.byteLength) memory.transfer?.(0);
}

interface Received {
  expected: Expected;
  received: number;
  sha256: Hash | undefined;
  running: RunningChecksum | undefined;
  proof: BodyProof;
  trailer: ReadonlyMap<string, string> | undefined;
}

function prove({ expected, received, sha256, running, proof, trailer }: Received): PayloadProof {
  if (expected.bytes !== undefined && received !== expected.bytes) {
    throw new S3Error(
      'IncompleteBody',
      400,
      'You did not provide the number of bytes specified by the Content-Length HTTP header',
    );
  }
  if (proof.kind === 'sha256' && sha256!.digest('hex') !== proof.hex) {
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      400,
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  }
  let checksum: Checksum | undefined;
  if (expected.checksum !== undefined) {
    const { algorithm, trailer: name } = expected.checksum;
    const claimed = name === undefined ? expected.checksum.value : trailer?.get(name);
    const value = Buffer.from(running!.digest()).toString('base64');
    if (claimed === undefined)
      throw new S3Error(
        'MalformedTrailerError',
        400,
        'The request contained trailing data that was not well-formed or did not conform to our published schema.',
      );
    if (claimed !== value) throw badDigest(algorithm);
    checksum = { algorithm, value, type: 'FULL_OBJECT' };
  }
  return { claimedMd5: expected.md5, checksum };
}
