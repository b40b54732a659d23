import { Packr } from 'msgpackr';
import { type ErrorCode } from '../../../workflows/engine/errors.ts';
import { type Checksums } from '../../objects/types.ts';
import { type LedgerRow, type Operation, type RowState } from './ledger.ts';

const packr = new Packr({ useRecords: false });
const ops: readonly Operation[] = ['put', 'delete', 'tags', 'metadata'];
const states: readonly RowState[] = ['pending', 'copied', 'verified', 'failed'];

export interface RowId {
  key: string;
  version: string;
}

/** Key, a zero, version: versions hold no zero, so the last one parts them. Sorts as the keys do. */
export function rowKey({ key, version }: RowId): Buffer {
  return Buffer.from(`${key}\0${version}`);
}
/** Behind all versions of a key and before the next key. */
export function behindRowsOf(key: string): Buffer {
  return Buffer.from(`${key}\u0001`);
}
export function parseRowKey(bytes: Uint8Array): RowId {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  const cut = text.lastIndexOf('\0');
  return { key: text.slice(0, cut), version: text.slice(cut + 1) };
}

type Packed = [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  string,
  string,
  string,
  Checksums | 0,
  string | 0,
  /** Missing in rows of older programs. */
  ([string, string] | 0)?,
  number?,
];

export function packRow(row: LedgerRow): Buffer {
  const packed: Packed = [
    ...([row.seq, ops.indexOf(row.op), row.writtenAtMs, row.dueSinceMs, row.sizeBytes] as const),
    ...([states.indexOf(row.state), row.attempts, row.sourceEtag] as const),
    // Most copies have the ETag they came from.
    ...([row.targetEtag === row.sourceEtag ? '=' : row.targetEtag, row.targetVersion] as const),
    ...([Object.keys(row.checksums).length === 0 ? 0 : row.checksums, row.errorCode ?? 0] as const),
  ];
  const { agreed, tagsAtMs } = row;
  if (agreed !== undefined) packed.push([agreed.sourceEtag, agreed.targetEtag]);
  else if (tagsAtMs !== undefined) packed.push(0);
  if (tagsAtMs !== undefined) packed.push(tagsAtMs);
  return packr.pack(packed);
}

export function unpackRow(id: RowId, bytes: Uint8Array): LedgerRow {
  const packed = packr.unpack(bytes) as Packed;
  const [seq, op, writtenAtMs, dueSinceMs, sizeBytes, state, attempts, sourceEtag, targetEtag] = packed;
  const [targetVersion, checksums, errorCode] = packed.slice(9) as [string, Checksums | 0, string | 0];
  const [agreed, tagsAtMs] = [packed[12], packed[13]];
  return {
    ...{ key: id.key, version: id.version, seq, op: ops[op]!, writtenAtMs, dueSinceMs, sizeBytes },
    ...{ state: states[state]!, attempts, sourceEtag, targetVersion },
    targetEtag: targetEtag === '=' ? sourceEtag : targetEtag,
    checksums: checksums === 0 ? {} : checksums,
    ...(errorCode === 0 ? {} : { errorCode: errorCode as ErrorCode }),
    ...(tagsAtMs === undefined ? {} : { tagsAtMs }),
    ...(agreed === undefined || agreed === 0 ? {} : { agreed: { sourceEtag: agreed[0], targetEtag: agreed[1] } }),
  };
}

/** Sorts by when it was due, then by what was heard first. */
export function backlogKey({ dueSinceMs, seq }: Pick<LedgerRow, 'dueSinceMs' | 'seq'>): Buffer {
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(dueSinceMs))), 0);
  bytes.writeBigUInt64BE(BigInt(seq), 8);
  return bytes;
}

export function packPlain(value: unknown): Buffer {
  return packr.pack(value);
}
export function unpackPlain(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}
