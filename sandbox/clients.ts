/** The synthetic clients as a program; `clients/` holds what it is made of. */
import { startClients } from './clients/start.ts';
import { announceReady, endpointSetting, setting } from './program.ts';

const clients = await startClients({
  entryUrl: setting('MUSTER_ENTRY_URL'),
  clients: Number(setting('MUSTER_CLIENTS', '20')),
  everyMs: Number(setting('MUSTER_CLIENT_EVERY_MS', '100')),
  timeoutMs: Number(setting('MUSTER_CLIENT_TIMEOUT_MS', '5000')),
  truthFile: setting('MUSTER_TRUTH_FILE'),
  listen: endpointSetting('MUSTER_LISTEN'),
});
announceReady({ url: clients.url }, () => clients.close());
