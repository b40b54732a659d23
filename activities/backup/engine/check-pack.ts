import { hash } from 'node:crypto';
import type { Repository } from '../repository/attach.ts';
import { hexOf, openBlob, type PackEntry } from '../repository/blob.ts';
import { parsePackHeader } from '../repository/pack-header.ts';

/** A pack to read whole, and what the index says lies in it. */
export interface CheckJob {
  pack: string;
  entries: readonly PackEntry[];
}

/** What is wrong with a pack; `blobs` are those that are lost by it, in hexadecimal. */
export interface PackVerdict {
  pack: string;
  bytes: number;
  problems: { why: string; blobs: string[] }[];
}

/** Compares a pack with its name, its header with the index, and every blob with its id. */
export async function checkPack(repository: Repository, { pack, entries }: CheckJob): Promise<PackVerdict> {
  const bytes = await repository.store.read('data', pack);
  const all = (): string[] => entries.map(({ id }) => hexOf(id));
  if (bytes === null) return { pack, bytes: 0, problems: [{ why: 'is missing', blobs: all() }] };
  const problems: PackVerdict['problems'] = [];
  if (hash('sha256', bytes) !== pack) problems.push({ why: 'has another hash than its name', blobs: [] });
  problems.push(...headerProblems(repository, bytes, entries));
  for (const entry of entries) {
    const sealed = bytes.subarray(entry.offset, entry.offset + entry.length);
    if (sealed.length < entry.length) {
      problems.push({ why: `ends before ${entry.type} blob ${short(entry)} does`, blobs: [hexOf(entry.id)] });
      continue;
    }
    const opened = openBlob(repository, sealed, entry);
    if (opened.kind === 'damaged') {
      problems.push({ why: `holds ${entry.type} blob ${short(entry)}, which ${opened.why}`, blobs: [hexOf(entry.id)] });
    }
  }
  return { pack, bytes: bytes.length, problems };
}

function headerProblems(
  repository: Repository,
  bytes: Uint8Array,
  entries: readonly PackEntry[],
): PackVerdict['problems'] {
  const header = parsePackHeader(repository, bytes);
  if (typeof header === 'string') return [{ why: header, blobs: [] }];
  const byId = new Map(header.map((entry) => [`${entry.type} ${hexOf(entry.id)}`, entry]));
  const wrong = entries.filter((entry) => {
    const inHeader = byId.get(`${entry.type} ${hexOf(entry.id)}`);
    return inHeader?.offset !== entry.offset || inHeader.length !== entry.length;
  });
  return wrong.length === 0
    ? []
    : [{ why: `has a header that differs from the index in ${wrong.length} blobs`, blobs: [] }];
}

const short = ({ id }: PackEntry): string => hexOf(id).slice(0, 8);
