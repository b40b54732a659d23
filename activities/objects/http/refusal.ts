import { type Headers } from '../dialect/dialect.ts';
import { type FailureFacts, isThrottling, judge, ObjectStoreError, quoted } from '../failure.ts';
import { XmlDamaged, XmlReader } from '../xml/reader.ts';

/** A refusal is short; what is longer is no answer of an object store. */
const mostBytes = 64 * 1024;

/** What a call was about, for messages. */
export interface CallName {
  method: string;
  /** Host and port. */
  host: string;
  bucket: string;
  key: string | undefined;
}

export interface RefusedAnswer {
  status: number;
  headers: Headers;
  /** The body; empty for HEAD. */
  bytes: Buffer;
}

/** `PUT photos/a/b.jpg at 10.0.0.1:9000` */
export function nameOf({ method, host, bucket, key }: CallName): string {
  return `${method} ${quoted(key === undefined ? bucket : `${bucket}/${key}`)} at ${host}`;
}

/** The fields of an error document; empty where there is none that can be read. */
export function errorFields(bytes: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  if (bytes.length === 0 || bytes.length > mostBytes) return fields;
  try {
    const reader = new XmlReader(bytes);
    if (reader.next() !== 'open' || reader.name !== 'Error') return fields;
    while (reader.next() === 'open') {
      const { name } = reader;
      if (wanted.has(name)) fields.set(name, reader.text());
      else reader.skip();
    }
  } catch (error) {
    if (!(error instanceof XmlDamaged)) throw error;
  }
  return fields;
}

/** Others may repeat what was signed. */
const wanted = new Set([
  ...['Code', 'Message', 'RequestId', 'Region', 'Endpoint', 'RequestTime', 'ServerTime', 'EC', 'Condition'],
]);

/** An answer other than success as an error in words: method, host, bucket, key, the server's code and request id. */
export function refusalError(call: CallName, answer: RefusedAnswer): ObjectStoreError {
  const { status, headers } = answer;
  const fields = errorFields(answer.bytes.length > 0 ? answer.bytes : documentInHeader(headers));
  const serverCode = fields.get('Code') ?? headers['x-minio-error-code'] ?? '';
  const words = quoted(fields.get('Message') ?? headers['x-minio-error-desc'] ?? '');
  const requestId = quoted(headers['x-amz-request-id'] ?? headers['x-oss-request-id'] ?? fields.get('RequestId') ?? '');
  const deleteMarker = headers['x-amz-delete-marker'] === 'true' || headers['x-oss-delete-marker'] === 'true';
  const about = call.key === undefined ? 'bucket' : 'object';
  const code = judge({ status, code: serverCode, message: words, about, deleteMarker });
  const facts: FailureFacts = {
    ...{ serverCode, status, requestId },
    // An answer of this kind may come from a server that has lost sight of what it did.
    mayHaveHappened: status >= 500 && status !== 501 && status !== 507,
    retryAfterMs: retryAfterOf(headers['retry-after']),
  };
  const said = [serverCode === '' ? `status ${status}` : `${quoted(serverCode)} (${status})`, words].filter(Boolean);
  const id = requestId === '' ? '' : ` (request ${requestId})`;
  const message = `${nameOf(call)}: ${said.join(': ')}${aside(serverCode, fields, headers)}${id}`;
  return new ObjectStoreError(code, message, facts);
}

/** What helps and is not in the server's sentence. */
function aside(serverCode: string, fields: ReadonlyMap<string, string>, headers: Headers): string {
  if (serverCode === 'RequestTimeTooSkewed') {
    const theirs = fields.get('ServerTime') ?? headers['date'] ?? 'unknown';
    const ours = fields.get('RequestTime') ?? new Date().toISOString();
    return `; the clocks disagree: the request says ${quoted(ours)}, the server has ${quoted(theirs)}; set the clock of this machine`;
  }
  const region = fields.get('Region') ?? headers['x-amz-bucket-region'];
  const endpoint = fields.get('Endpoint') ?? headers['location'];
  if (region !== undefined) return `; the bucket is in region ${quoted(region)}`;
  return /Redirect|IncorrectEndpoint|SecondLevelDomain/.test(serverCode) && endpoint !== undefined
    ? `; its endpoint is ${quoted(endpoint)}`
    : '';
}

/** OSS tells of a refused HEAD in a header: the document in base64. */
function documentInHeader(headers: Headers): Buffer {
  return Buffer.from(headers['x-oss-err'] ?? '', 'base64');
}

/** Seconds or a date (RFC 9110 §10.2.3). */
export function retryAfterOf(text: string | undefined, nowMs = Date.now()): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,7}$/.test(text)) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

/** How long to wait before try number `tries` + 1, milliseconds: full jitter, more where the server asks for rest. */
export function pauseMs(error: ObjectStoreError, tries: number, random: () => number = Math.random): number {
  const base = isThrottling(error) ? 400 : 100;
  const spread = random() * Math.min(20_000, base * 2 ** tries);
  return Math.max(spread, error.retryAfterMs ?? 0);
}
