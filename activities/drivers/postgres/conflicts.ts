import { createHash } from 'node:crypto';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import path from 'node:path';
import { ForkJudge, type Fork } from './fork.ts';
import { differences, sortedRows, type RowDifference } from './sorted-rows.ts';
import type { SqlClient } from './sql.ts';
import { readTables, type TableShape } from './tables.ts';

/**
 * What a former writer has that the present one never received:
 * `only-old` a row inserted there (or changed there, and deleted at the new writer since);
 * `differs`  a row changed there; `row` is the old writer's version;
 * `missing-old` a row deleted there and untouched at the new writer; `row` is the new writer's version.
 * A row that was deleted there *and* changed at the new writer since cannot be told from a new one and is not listed.
 */
export type ConflictKind = 'only-old' | 'differs' | 'missing-old';

/** One line of the conflict set. */
export interface Conflict {
  resource: string;
  /** With schema. */
  table: string;
  /** Primary key as text (`,` between columns). */
  key: string;
  /** The row as JSON text, as the server made it: numbers keep every digit. */
  row: string;
  /** When the old writer committed it, ISO 8601; null for deletions, and where the server did not keep it. */
  when: string | null;
  kind: ConflictKind;
}

export interface ConflictSet {
  file: string;
  /** Hex, of the file. */
  sha256: string;
  rows: number;
  byKind: Record<ConflictKind, number>;
  /** The first of them. */
  keys: { table: string; key: string; when: string | null; kind: ConflictKind }[];
  tables: string[];
  /** Tables that only one of the two servers has. */
  tablesOnOneSide: string[];
}

export interface ConflictSources {
  resource: string;
  /** The former writer, which takes no writes. */
  old: SqlClient;
  /** The present writer. */
  writer: SqlClient;
  tables: readonly string[] | '*';
  fork: Fork;
  file: string;
  /** How many keys to list in the result. */
  maxKeys: number;
  onProgress(rows: number): void;
}

/** Compares every guarded table of both servers, each in one snapshot, and writes what conflicts as JSON lines. */
export async function exportConflicts(sources: ConflictSources): Promise<ConflictSet> {
  const { old, writer } = sources;
  for (const client of [old, writer]) {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query("SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'");
  }
  const judge = await ForkJudge.start(sources.fork, old, writer);
  const [left, right] = await Promise.all([readTables(old, sources.tables), readTables(writer, sources.tables)]);
  const output = await ConflictFile.open(sources);
  try {
    for (const table of left) {
      const other = right.find(({ name }) => name === table.name);
      if (other !== undefined) await compareTable(sources, judge, output, { table, other });
    }
    const names = (tables: TableShape[]): string[] => tables.map(({ name }) => name);
    const both = names(left).filter((name) => names(right).includes(name));
    const oneSide = [...names(left), ...names(right)].filter((name) => !both.includes(name));
    return { ...(await output.finish()), tables: both, tablesOnOneSide: oneSide };
  } catch (err) {
    await output.discard();
    throw err;
  } finally {
    for (const client of [old, writer]) await client.query('ROLLBACK').catch(() => undefined);
  }
}

async function compareTable(
  sources: ConflictSources,
  judge: ForkJudge,
  output: ConflictFile,
  { table, other }: { table: TableShape; other: TableShape },
): Promise<void> {
  const columns = table.columns.filter((column) => other.columns.includes(column));
  const left = sortedRows(sources.old, table, columns);
  const right = sortedRows(sources.writer, { ...table, name: other.name }, columns);
  for await (const difference of differences(table, left, right)) {
    const conflict = await classify(judge, difference);
    if (conflict === null) continue;
    await output.write({ resource: sources.resource, table: table.name, ...conflict });
  }
}

/** What the new writer changed after the histories had parted is no conflict, whatever it looks like. */
async function classify(
  judge: ForkJudge,
  difference: RowDifference,
): Promise<Omit<Conflict, 'resource' | 'table'> | null> {
  if (difference.kind === 'only-right') {
    const { key, json, xid } = difference.right;
    if (!judge.existedBefore(xid)) return null;
    return { key: key.join(','), row: json, when: null, kind: 'missing-old' };
  }
  const { key, json, xid } = difference.left;
  if (!(await judge.oldWroteAlone(xid))) return null;
  const kind = difference.kind === 'both' ? 'differs' : 'only-old';
  return { key: key.join(','), row: json, when: await judge.committedAt(xid), kind };
}

/** The file in the making; it gets its name when it is complete and on disk. */
class ConflictFile {
  readonly #sources: ConflictSources;
  readonly #stream: WriteStream;
  readonly #hash = createHash('sha256');
  readonly #byKind: Record<ConflictKind, number> = { 'only-old': 0, differs: 0, 'missing-old': 0 };
  readonly #keys: ConflictSet['keys'] = [];
  #rows = 0;

  private constructor(sources: ConflictSources, stream: WriteStream) {
    this.#sources = sources;
    this.#stream = stream;
  }

  static async open(sources: ConflictSources): Promise<ConflictFile> {
    await mkdir(path.dirname(sources.file), { recursive: true });
    const stream = createWriteStream(`${sources.file}.partial`, { mode: 0o600, flush: true });
    await once(stream, 'open');
    return new ConflictFile(sources, stream);
  }

  async write(conflict: Conflict): Promise<void> {
    const { resource, table, key, row, when, kind } = conflict;
    const line = `{${members({ resource, table, key })},"row":${row},${members({ when, kind })}}\n`;
    this.#hash.update(line);
    this.#rows++;
    this.#byKind[kind]++;
    if (this.#keys.length < this.#sources.maxKeys) this.#keys.push({ table, key, when, kind });
    if (this.#rows % 1_000 === 0) this.#sources.onProgress(this.#rows);
    if (!this.#stream.write(line)) await once(this.#stream, 'drain');
  }

  async finish(): Promise<Omit<ConflictSet, 'tables' | 'tablesOnOneSide'>> {
    await this.#end();
    const { file } = this.#sources;
    await rename(`${file}.partial`, file);
    return { file, sha256: this.#hash.digest('hex'), rows: this.#rows, byKind: this.#byKind, keys: this.#keys };
  }

  async discard(): Promise<void> {
    await this.#end().catch(() => undefined);
    await rm(`${this.#sources.file}.partial`, { force: true });
  }

  async #end(): Promise<void> {
    this.#stream.end();
    await once(this.#stream, 'close');
  }
}

/** Members of a JSON object without its braces. */
function members(values: Record<string, string | null>): string {
  return JSON.stringify(values).slice(1, -1);
}
