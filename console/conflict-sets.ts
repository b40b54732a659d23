import type { RunView } from '../workflows/io.ts';
import type { JsonObject } from '../workflows/engine/plan.ts';
import type { ConflictRow, ConflictSet } from './report/input.ts';

/** A file that a step of a run left at a site, as its evidence names it. */
export interface EvidenceFile {
  site: string;
  resource: string;
  name: string;
  sha256: string | null;
  /** What its lines are about. */
  of: 'rows' | 'objects';
}

/**
 * The conflict sets that a run saved before an old primary was rewound, or copied over: by a step of its own, or where a
 * planned move found an old writer that had been ended hard, by its rejoin. Those of objects lie at the control plane.
 */
export function conflictFilesOf(
  steps: readonly Pick<RunView['steps'][number], 'id' | 'evidence'>[],
  site: string,
): EvidenceFile[] {
  return steps.flatMap(({ id, evidence }) => {
    const file = evidence?.['file'];
    const [, resource] = /^(?:backup|rejoin)-(.+)$/.exec(id) ?? [];
    if (resource === undefined || typeof file !== 'string') return [];
    const [sha256, at] = [evidence?.['sha256'], evidence?.['site']];
    return [
      {
        site: evidence?.['at'] === 'control' ? 'control' : typeof at === 'string' ? at : site,
        resource,
        name: file.split('/').at(-1) ?? file,
        sha256: typeof sha256 === 'string' ? sha256 : null,
        of: typeof evidence?.['objects'] === 'number' ? ('objects' as const) : ('rows' as const),
      },
    ];
  });
}

/** Reads a conflict set's JSON lines: `{resource, table, key, row, when, kind}` each. */
export function parseConflictSet(file: EvidenceFile, text: string): ConflictSet {
  const rows = text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseRow);
  return { resource: file.resource, of: file.of, file: file.name, sha256: file.sha256, rows };
}

function parseRow(line: string): ConflictRow {
  const { table, key, row, when } = JSON.parse(line) as {
    table: string;
    key: unknown;
    row: JsonObject | null;
    when: string | number | null;
  };
  return { table, key: keyText(key), row: row ?? {}, whenMs: momentOf(when) };
}

/** A key of one column reads as its value, one of several as `a, b`. */
function keyText(key: unknown): string {
  if (typeof key === 'string') return key;
  if (key !== null && typeof key === 'object') return Object.values(key).map(String).join(', ');
  return String(key);
}

function momentOf(when: string | number | null): number | null {
  if (when === null) return null;
  const ms = typeof when === 'number' ? when : Date.parse(when);
  return Number.isNaN(ms) ? null : ms;
}
