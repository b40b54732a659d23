import { checksumsOf } from '../checksum/hasher.ts';
import { compareChecksums } from '../checksum/values.ts';
import { type Dialect, type Headers } from '../dialect/dialect.ts';
import { bareEtag } from '../dialect/etag.ts';
import { ObjectStoreError } from '../failure.ts';
import { type Caller } from '../http/caller.ts';
import { describingHeaders } from '../object-headers.ts';
import {
  type CallOptions,
  type Checksums,
  type KnownChecksums,
  type ObjectClient,
  type PutBody,
  type PutOptions,
  type PutResult,
} from '../types.ts';
import { type ReadBack, readBack } from './read-back.ts';

export function writingCalls(caller: Caller, dialect: Dialect, head: ObjectClient['head']): Pick<ObjectClient, 'put'> {
  return {
    async put(key: string, body: PutBody, options: PutOptions = {}, call?: CallOptions): Promise<PutResult> {
      refuseLocks(dialect, options);
      const sent = toSend(dialect, body, options.checksums);
      const headers = {
        ...describingHeaders(dialect, options),
        ...dialect.conditionHeaders(options),
        ...sent.headers,
      };
      const written: ReadBack = { key, sizeBytes: sizeOf(body), known: sent.known };
      if (body instanceof Uint8Array) written.more = () => checksumsOf(['md5', 'crc64nvme', 'crc64ecma'], body);
      try {
        const request = { method: 'PUT' as const, key, headers, body, bodySha256: sent.beforehand.sha256 };
        const answer = await caller.answered(request, call);
        return putResult(dialect, written, answer.headers);
      } catch (error) {
        return readBack({ head, call }, written, error);
      }
    },
  };
}

export function sizeOf(body: PutBody): number {
  return body instanceof Uint8Array ? body.length : body.sizeBytes;
}

/** @throws ObjectStoreError OBJECT_STORE_REFUSED where a lock is asked of a dialect that has none for objects. */
export function refuseLocks(dialect: Dialect, options: { retention?: unknown; legalHold?: unknown }): void {
  if (dialect.supports.objectLock || (options.retention ?? options.legalHold) === undefined) return;
  const message = `${dialect.name} locks buckets, not objects: see \`supports.objectLock\``;
  throw new ObjectStoreError('OBJECT_STORE_REFUSED', message, {});
}

export interface ToSend {
  /** Known before the first byte is sent. */
  beforehand: Checksums;
  headers: Record<string, string>;
  /** Asked when the body was sent. */
  known: () => Checksums;
}

/** What goes along with a body, and what its answer is held against. */
export function toSend(dialect: Dialect, body: PutBody, checksums: KnownChecksums | undefined): ToSend {
  if (typeof checksums === 'function') return { beforehand: {}, headers: {}, known: checksums };
  const bytes = body instanceof Uint8Array ? body : undefined;
  const beforehand = checksums ?? (bytes === undefined ? {} : checksumsOf([dialect.ownChecksum], bytes));
  return { beforehand, headers: dialect.checksumHeaders(beforehand), known: () => beforehand };
}

/** What the store says it took. @throws ObjectStoreError CHECKSUM_MISMATCH when that is something else. */
export function putResult(dialect: Dialect, written: ReadBack, headers: Headers): PutResult {
  const { checksums } = dialect.checksumsOf(headers, false);
  refuseOther(written, checksums);
  const versionId = headers[`${dialect.prefix}version-id`];
  return {
    etag: bareEtag(headers['etag']),
    ...(versionId === undefined ? {} : { versionId }),
    checksums,
    readBack: false,
  };
}

/** @throws ObjectStoreError CHECKSUM_MISMATCH */
export function refuseOther({ key, known }: Pick<ReadBack, 'key' | 'known'>, answered: Checksums): void {
  const compared = compareChecksums(known(), answered);
  if (compared.kind !== 'different') return;
  const { by, left, right } = compared;
  const message = `${key}: the store took other bytes than were sent: ${by} ${right} instead of ${left}`;
  throw new ObjectStoreError('CHECKSUM_MISMATCH', message, { mayHaveHappened: true });
}
