/** What queries of `references` yield, asked of a real server. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { joinReferences } from '../../activities/protection/references/join-references.ts';
import { referredKeys } from '../../activities/protection/references/referred-keys.ts';
import { startLedgerPostgres, withClient, type LedgerPostgres } from '../support/ledger-postgres.ts';

let postgres: LedgerPostgres;
let url: string;

before(async () => {
  postgres = await startLedgerPostgres();
  url = await postgres.newDatabase();
});
after(() => postgres.stop());

async function asked(sql: string, at = url): Promise<string[]> {
  const keys: string[] = [];
  const options = { statementMs: 60_000, signal: new AbortController().signal };
  for await (const key of referredKeys(at, sql, options)) keys.push(key);
  return keys;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const odd = ['b', 'a-b', 'a/b', 'A', 'Zz', 'é', 'z', '\u{e000}', '\u{1f600}', 'a'];
const values = (keys: readonly string[]): string => `VALUES ${keys.map((key) => `('${key}')`).join(', ')}`;

const queries: { name: string; sql: string; expected: string[] }[] = [
  { name: 'keys in any order', sql: values(odd), expected: odd.toSorted(byBytes) },
  { name: 'rows that refer to nothing', sql: "VALUES ('b'), (NULL), ('a')", expected: ['a', 'b'] },
  { name: 'further columns', sql: "SELECT 'k' AS a, 1 AS b, 2 AS b", expected: ['k'] },
  {
    name: 'an order and an end of its own',
    sql: "SELECT k FROM (VALUES ('b'), ('a')) t (k) ORDER BY k DESC;",
    expected: ['a', 'b'],
  },
  { name: 'a remark at its end', sql: "SELECT 'a' -- of the shop", expected: ['a'] },
  { name: 'a query with a name', sql: "WITH t (k) AS (VALUES ('b'), ('a')) SELECT k FROM t", expected: ['a', 'b'] },
  {
    name: 'UUIDs',
    sql: "SELECT '00000000-0000-0000-0000-00000000000a'::uuid",
    expected: ['00000000-0000-0000-0000-00000000000a'],
  },
  { name: 'large numbers', sql: 'VALUES (10::bigint), (9)', expected: ['10', '9'] },
];
for (const { name, sql, expected } of queries) {
  test(`a query with ${name} yields its keys in the order of their bytes`, async () => {
    assert.deepEqual(await asked(sql), expected);
  });
}

const refused: { name: string; sql: string; says: RegExp }[] = [
  { name: 'yields a number', sql: 'SELECT 1', says: /its first column is no text but int4/ },
  { name: 'yields JSON', sql: `SELECT '"a"'::jsonb`, says: /its first column is no text but jsonb/ },
  { name: 'cannot be understood', sql: 'SELEC', says: /syntax error/ },
  {
    name: 'writes',
    sql: 'WITH t AS (DELETE FROM pg_class RETURNING relname) SELECT relname FROM t',
    says: /WITH clause|read-only/,
  },
];
for (const { name, sql, says } of refused) {
  test(`a query that ${name} is refused with the reason`, async () => {
    await assert.rejects(asked(sql), { code: 'CONFIG_INVALID', message: says });
  });
}

test('more rows than are fetched at once all come, and in a database of another encoding they come in the same order', async () => {
  await withClient(url, (sql) => sql.query("CREATE DATABASE latin ENCODING 'LATIN2' LOCALE 'C' TEMPLATE template0"));
  const latin = new URL(url);
  latin.pathname = '/latin';

  const letters = ['ą', 'ő', 'ý', 'č', 'z', 'Ł'];
  assert.deepEqual(await asked(values(letters), latin.href), letters.toSorted(byBytes));
  const keys = "SELECT 'key-' || i FROM generate_series(1, 25000) i";
  const answer = await joinReferences(referredKeysOf(keys), referredKeysOf(`${keys} WHERE i % 5 > 0`));
  assert.deepEqual(
    [answer.rows, answer.objects, answer.missing.count, answer.unreferred.count],
    [25_000, 20_000, 5_000, 0],
  );
});

function referredKeysOf(sql: string): AsyncGenerator<string> {
  return referredKeys(url, sql, { statementMs: 60_000, signal: new AbortController().signal });
}
