import type { Client } from '@temporalio/client';
import { connectClient, type TemporalPlace } from '../temporal.ts';

/** One connection to Temporal for those who need it now and then: made when first asked for, and again after a failure. */
export interface KeptClient {
  /** @throws MusterError TEMPORAL_UNREACHABLE */
  get(): Promise<Client>;
  close(): Promise<void>;
}

export function keepClient(place: TemporalPlace): KeptClient {
  let client: Promise<Client> | null = null;
  const connect = async (): Promise<Client> => {
    try {
      return await connectClient(place);
    } catch (err) {
      client = null;
      throw err;
    }
  };
  return {
    get: () => (client ??= connect()),
    close: async () => {
      const last = await client?.catch(() => null);
      await last?.connection.close();
    },
  };
}
