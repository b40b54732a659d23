import { MusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';
import { manifestName } from './backup-entry.ts';
import type { ManifestAlgorithm } from './file-digest.ts';
import { readManifest, type ManifestFacts } from './manifest.ts';

/** How a file of a backup is not what its manifest says. */
export type FileFault =
  | { kind: 'missing'; path: string }
  | { kind: 'extra'; path: string }
  | { kind: 'different'; path: string; why: string };

interface SeenFile {
  sizeBytes: number;
  checksum: string;
}

/** Segments in `pg_wal` are the only files that no manifest lists; they have checksums of their own. */
const unlisted = /^pg_wal\/[0-9A-F]{24}$/;

/** Holds what went by, to compare it with the manifest, which comes last. About 150 bytes of memory a file. */
export class ManifestCheck {
  readonly #algorithm: ManifestAlgorithm;
  readonly #seen = new Map<string, SeenFile>();
  readonly #twice: FileFault[] = [];

  constructor(algorithm: ManifestAlgorithm) {
    this.#algorithm = algorithm;
  }

  /** `checksum` by the algorithm of this check. */
  add(path: string, file: SeenFile): void {
    if (this.#seen.has(path)) this.#twice.push({ kind: 'different', path, why: 'it came twice' });
    this.#seen.set(path, file);
  }

  /** Every difference, and what the manifest says of the whole. Throws CHECKSUM_MISMATCH for a damaged manifest. */
  compare(manifest: Buffer): { facts: ManifestFacts; faults: FileFault[] } {
    const faults = [...this.#twice];
    const left = new Map(this.#seen);
    const facts = readManifest(manifest, ({ path, sizeBytes, algorithm, checksum }) => {
      const seen = left.get(path);
      left.delete(path);
      if (seen === undefined) faults.push({ kind: 'missing', path });
      else if (seen.sizeBytes !== sizeBytes) {
        faults.push({ kind: 'different', path, why: `${seen.sizeBytes} bytes, not ${sizeBytes}` });
      } else if (algorithm !== this.#algorithm) {
        faults.push({
          kind: 'different',
          path,
          why: `its checksum is ${algorithm ?? 'not there'}, not ${this.#algorithm}`,
        });
      } else if (seen.checksum !== checksum) {
        faults.push({ kind: 'different', path, why: `${algorithm} ${seen.checksum}, not ${checksum}` });
      }
    });
    for (const path of left.keys()) {
      if (path !== manifestName && !unlisted.test(path)) faults.push({ kind: 'extra', path });
    }
    return { facts, faults };
  }
}

const namedFaults = 5;

/** An error that names the files, the first few in full. */
export function faultError(code: ErrorCode, what: string, faults: readonly FileFault[]): MusterError {
  const named = faults.slice(0, namedFaults).map((fault) => {
    if (fault.kind === 'different') return `${fault.path} differs (${fault.why})`;
    return `${fault.path} is ${fault.kind === 'extra' ? 'not in the manifest' : 'missing'}`;
  });
  const more = faults.length > namedFaults ? `, and ${faults.length - namedFaults} more` : '';
  return new MusterError(code, `${what}: ${named.join('; ')}${more}`);
}
