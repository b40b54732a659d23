import { createHash } from 'node:crypto';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { manifestAlgorithms, type ManifestAlgorithm } from './file-digest.ts';

/** One file of a backup manifest (PostgreSQL's documentation, "Backup Manifest Format"). */
export interface ManifestFile {
  path: string;
  sizeBytes: number;
  /** `null` where the manifest was made without checksums. */
  algorithm: ManifestAlgorithm | null;
  /** Lower-case hex; empty without an algorithm. */
  checksum: string;
}

export interface WalRange {
  timeline: number;
  startLsn: string;
  endLsn: string;
}

export interface ManifestFacts {
  /** Written by PostgreSQL 17 and later. */
  systemId: string | null;
  walRanges: WalRange[];
}

const newline = 0x0a;

/**
 * Reads a manifest line by line, as PostgreSQL writes it, so that it may be long: each file goes to `onFile`.
 * @throws MusterError CHECKSUM_MISMATCH when its own checksum does not hold or a line is not understood
 */
export function readManifest(bytes: Buffer, onFile: (file: ManifestFile) => void): ManifestFacts {
  checkManifest(bytes);
  const facts: ManifestFacts = { systemId: null, walRanges: [] };
  for (const line of linesOf(bytes)) {
    if (line.startsWith('{ "Path"') || line.startsWith('{ "Encoded-Path"')) onFile(fileOf(line));
    else if (line.startsWith('{ "Timeline"')) facts.walRanges.push(rangeOf(line));
    // As text: the number has more digits than JSON.parse keeps.
    else if (line.startsWith('"System-Identifier"')) facts.systemId = /\d+/.exec(line)?.[0] ?? null;
  }
  return facts;
}

/** The last line holds the SHA-256 of all bytes before it. */
function checkManifest(bytes: Buffer): void {
  const at = bytes.lastIndexOf('"Manifest-Checksum"');
  const stated = /^"Manifest-Checksum": "([0-9a-f]{64})"\}\s*$/.exec(bytes.toString('utf8', Math.max(at, 0)))?.[1];
  if (stated === undefined || stated !== createHash('sha256').update(bytes.subarray(0, at)).digest('hex')) {
    throw new MusterError('CHECKSUM_MISMATCH', 'backup_manifest is damaged: its own checksum does not hold');
  }
}

function* linesOf(bytes: Buffer): Generator<string> {
  for (let from = 0; from < bytes.length;) {
    const found = bytes.indexOf(newline, from);
    const to = found < 0 ? bytes.length : found;
    yield bytes.toString('utf8', from, to);
    from = to + 1;
  }
}

function objectOf(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line.replace(/,$/, '')) as Record<string, unknown>;
  } catch {
    throw notUnderstood(line);
  }
}

function fileOf(line: string): ManifestFile {
  const fields = objectOf(line);
  const algorithm = fields['Checksum-Algorithm'];
  const encoded = fields['Encoded-Path'];
  const path = typeof encoded === 'string' ? Buffer.from(encoded, 'hex').toString('utf8') : fields['Path'];
  if (typeof path !== 'string' || typeof fields['Size'] !== 'number') throw notUnderstood(line);
  if (algorithm === undefined) return { path, sizeBytes: fields['Size'], algorithm: null, checksum: '' };
  const known = manifestAlgorithms.find((one) => one === algorithm);
  if (known === undefined || typeof fields['Checksum'] !== 'string') throw notUnderstood(line);
  return { path, sizeBytes: fields['Size'], algorithm: known, checksum: fields['Checksum'] };
}

function rangeOf(line: string): WalRange {
  const { Timeline: timeline, 'Start-LSN': startLsn, 'End-LSN': endLsn } = objectOf(line);
  if (typeof timeline !== 'number' || typeof startLsn !== 'string' || typeof endLsn !== 'string') {
    throw notUnderstood(line);
  }
  return { timeline, startLsn, endLsn };
}

function notUnderstood(line: string): MusterError {
  return new MusterError('CHECKSUM_MISMATCH', `backup_manifest has a line that is not understood: ${line}`);
}
