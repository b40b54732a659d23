import { Client, Connection } from '@temporalio/client';
import { toMusterError } from '../workflows/engine/errors.ts';
import { MusterError } from '../workflows/engine/errors.ts';

/** temporal.api.enums.v1.IndexedValueType. */
const keyword = 2;
const bool = 5;

/** Search attributes of our runs; the dev server's store has room for ten keywords and three booleans. */
export const searchAttributes = {
  DrService: keyword,
  DrKind: keyword,
  DrPhase: keyword,
  DrOutcome: keyword,
  DrFrom: keyword,
  DrTo: keyword,
  DrDrill: bool,
} as const;

export interface TemporalPlace {
  address: string;
  namespace: string;
}

/** @throws MusterError TEMPORAL_UNREACHABLE naming the address. */
export async function connectClient(place: TemporalPlace): Promise<Client> {
  try {
    const connection = await Connection.connect({ address: place.address, connectTimeout: 3_000 });
    return new Client({ connection, namespace: place.namespace });
  } catch (err) {
    throw new MusterError(
      'TEMPORAL_UNREACHABLE',
      `Temporal at ${place.address} does not answer: ${toMusterError(err).message}`,
      { cause: err },
    );
  }
}

/** Registers what is missing; safe to repeat, and needed on an existing database file, where the server's flag does nothing. */
export async function registerSearchAttributes(client: Client, namespace: string): Promise<void> {
  const operator = client.connection.operatorService;
  const { customAttributes } = await operator.listSearchAttributes({ namespace });
  const missing = Object.entries(searchAttributes).filter(([name]) => !(name in (customAttributes ?? {})));
  if (missing.length > 0)
    await operator.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
}
