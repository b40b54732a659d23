import { type ObjectClient } from './types.ts';
import { bucketCalls } from './calls/buckets.ts';
import { copyingCalls } from './calls/copying.ts';
import { deletingCalls } from './calls/deleting.ts';
import { listingCalls } from './calls/listing.ts';
import { ossLocks, s3Locks } from './calls/locks.ts';
import { multipartCalls } from './calls/multipart.ts';
import { readingCalls } from './calls/reading.ts';
import { tagCalls } from './calls/tags.ts';
import { uploadCalls } from './calls/uploads.ts';
import { writingCalls } from './calls/writing.ts';
import { createKeyring, type Env, providerOf } from './credentials.ts';
import { oss } from './dialect/oss.ts';
import { s3 } from './dialect/s3.ts';
import { type Caller, type CallerDeps, createCaller } from './http/caller.ts';
import { createTransport, type Transport } from './http/transport.ts';
import { defaultLimits } from './limits.ts';
import { type CredentialProvider, type ObjectPlace } from './place.ts';

export interface OpenOptions {
  /** Instead of the place's own source of keys. */
  credentials?: CredentialProvider;
  /** Where a source of kind `environment` reads. Default: this process's. */
  env?: Env;
  /** The clock requests are signed by. */
  nowMs?: () => number;
}

/**
 * Opens a place. Nothing is sent before the first call; connections are kept until it is disposed of.
 * @throws MusterError CONFIG_INVALID when the authorities' file cannot be read. Keys are asked for by the first call.
 */
export function openObjects(place: ObjectPlace, options: OpenOptions = {}): ObjectClient {
  const dialect = place.dialect === 's3' ? s3 : oss;
  const limits = { ...defaultLimits, ...place.limits };
  const keyring = createKeyring(options.credentials ?? providerOf(place.credentials, options.env ?? process.env));
  const transports: Transport[] = [];
  const callerOf = (bucket: string): Caller => {
    const url = new URL(place.endpoint);
    if (bucket !== '' && place.addressing === 'virtual-host') url.hostname = `${bucket}.${url.hostname}`;
    const transport = createTransport(url.origin, place.caFile, limits);
    transports.push(transport);
    const nowMs = options.nowMs ?? Date.now;
    const signer = dialect.signer(place, url.host);
    const deps: CallerDeps = { place, dialect, limits, keyring, transport, bucket, host: url.host, signer, nowMs };
    return createCaller(deps);
  };
  const caller = callerOf(place.bucket);
  let account: Caller | undefined;
  const listing = listingCalls(caller);
  const reading = readingCalls(caller, dialect);
  return {
    place,
    dialect: dialect.name,
    bucket: place.bucket,
    name: `${dialect.name}://${place.bucket} at ${new URL(place.endpoint).host}`,
    supports: dialect.supports,
    ...listing,
    ...reading,
    ...writingCalls(caller, dialect, reading.head),
    ...multipartCalls(caller, dialect, reading.head),
    ...uploadCalls(caller),
    ...deletingCalls(caller, dialect),
    ...tagCalls(caller, dialect),
    ...copyingCalls({ caller, dialect, bucket: place.bucket, head: reading.head }),
    ...(dialect.name === 's3' ? s3Locks(caller, dialect) : ossLocks(caller)),
    ...bucketCalls({
      ...{ caller, dialect, place, list: listing.list },
      account: () => (account ??= callerOf('')),
    }),
    async [Symbol.asyncDispose]() {
      await Promise.all(transports.map((transport) => transport.close()));
    },
  };
}
