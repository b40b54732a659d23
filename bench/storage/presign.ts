import { createHash, createHmac } from 'node:crypto';

interface Account {
  accessKey: string;
  secretKey: string;
}

/** Path and query of a presigned request (AWS Signature Version 4, region us-east-1, a day's validity). */
export function presign(
  account: Account,
  request: { method: string; endpoint: string; key: string; query?: [string, string][] | undefined },
): string {
  const { method, endpoint, key, query = [] } = request;
  const { host } = new URL(endpoint);
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${stamp.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const all: [string, string][] = [
    ...query,
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${account.accessKey}/${scope}`],
    ['X-Amz-Date', stamp],
    ['X-Amz-Expires', '86400'],
    ['X-Amz-SignedHeaders', 'host'],
  ];
  const canonicalQuery = all
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
  const canonical = [method, key, canonicalQuery, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  let signing: Buffer = createHmac('sha256', `AWS4${account.secretKey}`).update(scope.slice(0, 8)).digest();
  for (const part of ['us-east-1', 's3', 'aws4_request']) signing = createHmac('sha256', signing).update(part).digest();
  const signature = createHmac('sha256', signing).update(toSign).digest('hex');
  return `${key}?${canonicalQuery}&X-Amz-Signature=${signature}`;
}
