import pg from 'pg';
import { compareTruth, readTruth } from '../../sandbox/truth.ts';

/** Ids that were acknowledged to a client and are not in the database. */
export async function reckonPresent(truthFile: string, url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const lookup = async (ids: string[]): Promise<ReadonlySet<string>> => {
      const { rows } = await client.query<{ id: string }>('SELECT id FROM orders WHERE id = ANY($1::uuid[])', [ids]);
      return new Set(rows.map((row) => row.id));
    };
    return (await compareTruth(readTruth(truthFile), lookup)).missing.map((row) => row.id);
  } finally {
    await client.end();
  }
}
