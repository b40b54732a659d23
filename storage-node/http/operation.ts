/**
 * One operation of a dialect: one file under `s3/` or `oss/`, one row of the route table. The server, authorization,
 * docs/storage-operations.md and the security tests are all made from these rows; nothing is routed by hand.
 */
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type ObjectLayer } from '../object/layer.ts';
import { type Checksum } from '../object/model.ts';

export type Dialect = 's3' | 'oss';

declare const verified: unique symbol;
/** Who asks, as the gate proved it. Only `gate.ts` makes one, so no handler can be reached around it. */
export interface Principal {
  readonly [verified]: true;
  readonly accessKey: string;
  readonly owner: string;
}

/** What the gate found in the request line and headers, before and independent of any handler. */
export interface ParsedRequest {
  readonly dialect: Dialect;
  readonly method: string;
  /** Decoded from the raw path bytes, never normalized; '' for the service. */
  readonly bucket: string;
  /** '' for a bucket request. */
  readonly key: string;
  /** Decoded; a key given twice is refused by the gate. A key without `=` has ''. */
  readonly query: ReadonlyMap<string, string>;
  /** Lower-case names; a duplicated header that must be single is refused by the gate. */
  readonly headers: Readonly<Record<string, string>>;
  readonly requestId: string;
}

/** The request's body after its framing (aws-chunked) was taken off and every signature in it checked. */
export interface Payload {
  /** Decoded length where the client said it. */
  readonly expectedBytes: number | undefined;
  /**
   * Pushes the body in pieces, waiting where `write` says false until `drained` resolves.
   * Resolves when the body ended and everything the client sent to prove it (length, Content-MD5, SHA-256, chunk
   * signatures, trailer) was found right; `md5Hex` is what Content-MD5 claimed and must be compared by the caller.
   * @throws S3 errors such as IncompleteBody, BadDigest, XAmzContentSHA256Mismatch.
   */
  pipe(target: BodySink): Promise<PayloadProof>;
  /** The whole body, for XML documents. @throws EntityTooLarge / MaxMessageLengthExceeded above `limit` bytes. */
  bytes(limit: number): Promise<Uint8Array>;
}
/** Takes a body's bytes as they come. */
export interface BodySink {
  /** False: no more until `drained`. */
  write(chunk: Uint8Array): boolean;
  drained(): Promise<void>;
  /** What `write` was given is used up when it returns: its memory may be given back at once. */
  keepsNothing?: true;
}
export interface PayloadProof {
  /** Of Content-MD5, hex; the sink that computes the MD5 anyway compares it. */
  claimedMd5: string | undefined;
  /** Verified full-object checksum the client sent as header or trailer, or the one computed by default (CRC64NVME). */
  checksum: Checksum | undefined;
}

export interface OperationContext {
  readonly principal: Principal;
  readonly request: ParsedRequest;
  readonly payload: Payload;
  readonly layer: ObjectLayer;
  readonly settings: { region: string; owner: string };
  /** The raw pair, for streaming answers only. Request data is taken from `request`. */
  readonly raw: { request: IncomingMessage; response: ServerResponse };
}

/** What a handler answers; `undefined` when it streamed the answer itself. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  /** XML text or bytes. */
  body?: string | Uint8Array;
}

export interface Operation {
  /** AWS's (or OSS's) name of it, such as `PutObject`. */
  readonly name: string;
  readonly dialect: Dialect;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly resource: 'service' | 'bucket' | 'object';
  /** Sub-resources that must be in the query, such as `uploads`; `partNumber` and `uploadId` for UploadPart. */
  readonly query: readonly string[];
  /** A header that must be there, such as `x-amz-copy-source`. */
  readonly header?: string;
  /** The permission it needs, such as `s3:PutObject`. More than one: all of them. */
  readonly actions: readonly string[];
  /** Query parameters it understands beside `query`. A sub-resource nobody understands answers NotImplemented. */
  readonly parameters: readonly string[];
  /** The `x-amz-checksum-*` headers of this request speak of an object, not of the body they come with. */
  readonly objectChecksum?: boolean;
  handle(context: OperationContext): Promise<Answer | undefined>;
}
