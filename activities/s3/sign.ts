import { emptySha256 } from '../objects/signing/family.ts';
import { createAwsSigner } from '../objects/signing/requests.ts';
import { encodeKey, encodeText, queryText } from '../objects/signing/text.ts';

/** Who signs, and for which region. Holds a secret: never log it. */
export interface S3Credentials {
  accessKey: string;
  secretKey: string;
  region: string;
}

export interface S3Request {
  method: string;
  url: URL;
  /** Lower-case names; all of them are signed. */
  headers: Record<string, string>;
  /** SHA-256 of the body, hex; `UNSIGNED-PAYLOAD` where the connection protects it. */
  payloadHash: string;
}

export const emptyHash = emptySha256;

/** The headers that go out: those given, and AWS Signature Version 4 over all of them. For single requests. */
export function signRequest(request: S3Request, credentials: S3Credentials, now: Date): Record<string, string> {
  const { method, url, payloadHash } = request;
  const headers = { ...request.headers };
  const keys = { accessKeyId: credentials.accessKey, secretAccessKey: credentials.secretKey };
  const query = queryText(Object.fromEntries(url.searchParams), false);
  const sign = createAwsSigner(credentials.region, url.host);
  sign({ method, path: url.pathname, query, headers, payloadHash }, keys, now.getTime());
  return headers;
}

/** One segment or a whole key as S3 wants it in a path: everything but unreserved characters is escaped. */
export function encodeS3(text: string, keepSlashes: boolean): string {
  return keepSlashes ? encodeKey(text) : encodeText(text);
}
