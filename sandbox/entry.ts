/** The entry as a program; `entry/` holds what it is made of. */
import { z } from 'zod';
import { startEntry } from './entry/start.ts';
import { announceReady, endpointSetting, setting } from './program.ts';

const upstreams = z.array(z.strictObject({ site: z.string(), url: z.url() }));

const entry = await startEntry({
  listen: endpointSetting('MUSTER_LISTEN'),
  adminListen: endpointSetting('MUSTER_ADMIN_LISTEN'),
  token: setting('MUSTER_ENTRY_TOKEN'),
  upstreams: upstreams.parse(JSON.parse(setting('MUSTER_ENTRY_UPSTREAMS'))),
  firstRoute: setting('MUSTER_ENTRY_FIRST_ROUTE'),
  stateFile: setting('MUSTER_ENTRY_STATE'),
});
announceReady({ url: entry.url, adminUrl: entry.adminUrl }, () => entry.close());
