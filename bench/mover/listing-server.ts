import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';

export const listedKeys = 1_000_000;

/** Lists keys that nobody stored: every hundredth is missing at the target, every thousandth has another size. */
export async function listingServer(): Promise<{ endpoint: string; stop: () => Promise<void> }> {
  const keyAt = (i: number): string => `photos/2026/object-${String(i).padStart(10, '0')}.jpeg`;
  const when = new Date(Date.UTC(2026, 0, 1)).toISOString();
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://x');
    const bucket = url.pathname.split('/')[1]!;
    const after = url.searchParams.get('start-after') ?? url.searchParams.get('continuation-token') ?? '';
    const most = Number(url.searchParams.get('max-keys') ?? 1_000);
    if (url.searchParams.has('versioning')) {
      response.end('<VersioningConfiguration/>');
      return;
    }
    const rows: string[] = [];
    let i = firstBehind(keyAt, after);
    let last = '';
    for (; rows.length < most && i < listedKeys; i++) {
      if (bucket === 'target' && i % 100 === 0) continue;
      last = keyAt(i);
      const sizeBytes = bucket === 'target' && i % 1_000 === 1 ? 7 : 1_000 + (i % 50);
      const etag = String(i).padStart(32, '0');
      rows.push(
        `<Contents><Key>${last}</Key><LastModified>${when}</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
      );
    }
    const more = i < listedKeys;
    const next = more ? `<NextContinuationToken>${last}</NextContinuationToken>` : '';
    response.setHeader('content-type', 'application/xml');
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>${bucket}</Name><Prefix></Prefix><KeyCount>${rows.length}</KeyCount><MaxKeys>${most}</MaxKeys><IsTruncated>${more}</IsTruncated>${rows.join('')}${next}</ListBucketResult>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function firstBehind(keyAt: (i: number) => string, after: string): number {
  let low = 0;
  let high = listedKeys;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(Buffer.from(keyAt(middle)), Buffer.from(after)) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
