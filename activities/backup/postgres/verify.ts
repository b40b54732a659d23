import pg from 'pg';
import { toMusterError } from '../../../workflows/engine/errors.ts';
import { newestCanary } from '../../drivers/postgres/canary.ts';
import { withDatabase } from '../../drivers/postgres/conninfo.ts';
import { connectSql, dropSql, oneRow, sqlState, type SqlClient, type SqlOptions } from '../../drivers/postgres/sql.ts';
import { checkStructure } from './amcheck.ts';
import { failedQuery, finding, verdictOf, type Finding, type Verification } from './findings.ts';

/** How many rows a table must have. */
export interface RowExpectation {
  /** Default: the database of the address. */
  database?: string;
  /** As in SQL, e.g. `public.orders`. */
  table: string;
  /** Both ends included; equal ends want exactly that many. */
  min?: number;
  max?: number;
}

/** A question of the user's: it passes with at least one row whose first column is not false, null or missing. */
export interface SqlCheck {
  name: string;
  database?: string;
  sql: string;
}

export interface CanaryExpectation {
  database?: string;
  /** The moment that was restored: ages count from here. Unix milliseconds. */
  atMs: number;
  maxAgeMs: number;
}

export interface VerifyOptions {
  /** A superuser's address of the restored server. */
  url: string;
  /** Read all tables and compare all B-trees; default `true`. */
  structure?: boolean;
  rows?: readonly RowExpectation[];
  checks?: readonly SqlCheck[];
  canary?: CanaryExpectation | null;
  /** Limit for each statement, milliseconds; default 10 minutes. */
  statementMs?: number;
  signal?: AbortSignal;
  onProgress?(subject: string): void;
}

/** Looks at a restored server. Never throws for what it finds: a server that does not answer is a finding, too. */
export async function verifyRestored(options: VerifyOptions): Promise<Verification> {
  const startedAt = performance.now();
  const verifier = new Verifier(options);
  await verifier.run();
  const { findings, rows } = verifier;
  return { verdict: verdictOf(findings), findings, rows, seconds: (performance.now() - startedAt) / 1000 };
}

class Verifier {
  readonly #options: VerifyOptions;
  readonly #limits: SqlOptions;
  readonly findings: Finding[] = [];
  readonly rows: Record<string, number> = {};

  constructor(options: VerifyOptions) {
    this.#options = options;
    const { statementMs = 600_000, signal } = options;
    this.#limits = { connectMs: 10_000, statementMs, ...(signal === undefined ? {} : { signal }) };
  }

  async run(): Promise<void> {
    const { structure = true, rows = [], checks = [], canary = null } = this.#options;
    const databases = await this.#databases();
    if (databases === null) return;
    for (const database of databases) {
      await this.#in(database, 'connect', async (client) => {
        this.findings.push(finding('connect', database, 'passed', { detail: 'it can be connected to' }));
        if (structure) this.findings.push(...(await checkStructure(client, database)));
      });
    }
    for (const expectation of rows)
      await this.#in(expectation.database, 'rows', (client) => this.#count(client, expectation));
    for (const check of checks) await this.#in(check.database, 'sql', (client) => this.#ask(client, check));
    if (canary !== null) await this.#in(canary.database, 'canary', (client) => this.#age(client, canary));
    // Last: reading is what finds pages with a wrong checksum.
    await this.#in(undefined, 'checksums', (client) => this.#checksums(client));
  }

  async #databases(): Promise<string[] | null> {
    let names: string[] | null = null;
    await this.#in(undefined, 'connect', async (client) => {
      const { rows } = await client.query<{ name: string }>(
        'SELECT datname AS name FROM pg_database WHERE datallowconn ORDER BY 1',
      );
      names = rows.map(({ name }) => name);
    });
    return names;
  }

  /** On a connection of its own, so that one failure does not spoil the next question. */
  async #in(
    database: string | undefined,
    check: Finding['check'],
    work: (client: SqlClient) => Promise<void>,
  ): Promise<void> {
    const { url, onProgress } = this.#options;
    const subject = database ?? decodeURIComponent(new URL(url).pathname.slice(1));
    onProgress?.(`${check} ${subject}`);
    let client: SqlClient | null = null;
    try {
      client = await connectSql(database === undefined ? url : withDatabase(url, database), this.#limits);
      await work(client);
    } catch (err) {
      const { message } = toMusterError(err, 'DATABASE_UNREACHABLE');
      const isRefused = client === null && sqlState(err) !== null;
      const state = isRefused ? sqlState(err) : err instanceof pg.DatabaseError ? (err.code ?? null) : null;
      this.findings.push(failedQuery(check, subject, { message, sqlState: state }));
    } finally {
      if (client !== null) dropSql(client);
    }
  }

  async #count(client: SqlClient, { table, min = 0, max = Number.POSITIVE_INFINITY }: RowExpectation): Promise<void> {
    const named = await oneRow<{ name: string }>(
      client,
      `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = to_regclass($1)`,
      [table],
    );
    if (named === null) {
      this.findings.push(finding('rows', table, 'failed', { detail: 'there is no such table' }));
      return;
    }
    const row = await oneRow<{ n: string }>(client, `SELECT count(*) AS n FROM ${named.name}`);
    const count = Number(row?.n);
    this.rows[table] = count;
    const wanted = min === max ? `${min}` : `${min} to ${max === Number.POSITIVE_INFINITY ? 'any number' : max}`;
    const isRight = count >= min && count <= max;
    const detail = `${count} rows, expected ${wanted}`;
    this.findings.push(finding('rows', table, isRight ? 'passed' : 'failed', { detail, value: count }));
  }

  async #ask(client: SqlClient, { name, sql }: SqlCheck): Promise<void> {
    await client.query('BEGIN READ ONLY');
    let rows: unknown[][];
    try {
      ({ rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' }));
    } catch (err) {
      const state = err instanceof pg.DatabaseError ? (err.code ?? null) : null;
      const message = err instanceof Error ? err.message : String(err);
      this.findings.push(failedQuery('sql', name, { message, sqlState: state }));
      return;
    }
    const first = rows[0]?.[0];
    const hasAnswer = rows.length > 0 && first !== false && first !== null && first !== undefined;
    const detail = rows.length === 0 ? 'it gave no row' : `it gave ${JSON.stringify(first)}`;
    const value = Number.isFinite(Number(first)) && typeof first !== 'boolean' ? { value: Number(first) } : {};
    this.findings.push(finding('sql', name, hasAnswer ? 'passed' : 'failed', { detail, ...value }));
  }

  async #age(client: SqlClient, { atMs, maxAgeMs }: CanaryExpectation): Promise<void> {
    const table = await oneRow<{ name: string | null }>(client, "SELECT to_regclass('muster.canary')::text AS name");
    const mark = table?.name ? await newestCanary(client) : null;
    if (mark === null) {
      this.findings.push(finding('canary', 'muster.canary', 'unknown', { detail: 'there is no mark' }));
      return;
    }
    const ageMs = atMs - mark.writtenAtMs;
    const detail = `the newest mark is ${ageMs} ms older than what was restored, allowed are ${maxAgeMs} ms`;
    const verdict = ageMs <= maxAgeMs ? 'passed' : 'failed';
    this.findings.push(finding('canary', 'muster.canary', verdict, { detail, value: ageMs }));
  }

  async #checksums(client: SqlClient): Promise<void> {
    const row = await oneRow<{ state: string; failures: string | null }>(
      client,
      `SELECT current_setting('data_checksums') AS state, sum(checksum_failures) AS failures FROM pg_stat_database`,
    );
    const failures = Number(row?.failures ?? 0);
    if (row?.state !== 'on') {
      const detail = 'pages have no checksums: damage inside a page shows only where it breaks a structure';
      this.findings.push(finding('checksums', 'cluster', 'noted', { detail }));
    } else if (failures > 0) {
      this.findings.push(
        finding('checksums', 'cluster', 'failed', {
          detail: `${failures} pages have a wrong checksum`,
          value: failures,
        }),
      );
    } else {
      this.findings.push(
        finding('checksums', 'cluster', 'passed', { detail: 'no page that was read has a wrong checksum' }),
      );
    }
  }
}
