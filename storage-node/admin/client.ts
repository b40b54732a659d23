import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { parseRequestLine } from '../http/request-line.ts';
import { awsFamily, canonicalRequest, signHex, signingKey, stringToSign } from '../http/sigv4.ts';

export interface AdminClientOptions {
  /** Any node: `http://host:port`. */
  endpoint: string;
  user: string;
  password: string;
  region: string;
  /** PEM of the authority that signed the node's certificate, for https. */
  ca?: string;
  timeoutMs?: number;
}

/** An answer of a node's administration, parsed. */
export interface AdminReply {
  status: number;
  body: unknown;
}

/** Sends one signed request to the administration of a node. @throws when it cannot be reached. */
export function adminCall(
  options: AdminClientOptions,
  method: 'GET' | 'POST',
  pathAndQuery: string,
): Promise<AdminReply> {
  const url = new URL(options.endpoint);
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const payloadHash = createHash('sha256').digest('hex');
  const headers: Record<string, string> = { host: url.host, 'x-amz-content-sha256': payloadHash, 'x-amz-date': stamp };
  const signed = Object.keys(headers).sort();
  const scope = { accessKey: options.user, date: stamp.slice(0, 8), region: options.region };
  const canonical = canonicalRequest({ method, line: parseRequestLine(pathAndQuery), headers }, signed, payloadHash);
  const key = signingKey(awsFamily, scope, options.password);
  const signature = signHex(key, stringToSign(awsFamily, { ...scope, stamp }, canonical));
  const credential = `${scope.accessKey}/${scope.date}/${scope.region}/s3/aws4_request`;
  headers['authorization'] =
    `${awsFamily.algorithm} Credential=${credential}, SignedHeaders=${signed.join(';')}, Signature=${signature}`;
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        // A URL has IPv6 in brackets, a socket does not.
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port,
        method,
        path: pathAndQuery,
        headers,
        ca: options.ca,
        timeout: options.timeoutMs ?? 30_000,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: answer.statusCode ?? 0, body: parse(text) });
        });
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`${options.endpoint} does not answer`)));
    sent.on('error', reject);
    sent.end();
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { error: 'Unreadable', message: text.slice(0, 200) };
  }
}
