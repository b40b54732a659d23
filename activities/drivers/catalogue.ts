import type { DriverCatalogue } from '../../workflows/engine/catalogue.ts';
import { bucketDescription } from './bucket/description.ts';
import { directoryDescription } from './directory/description.ts';
import { postgresDescription } from './postgres/description.ts';
import { proxyDescription } from './proxy/description.ts';

/** What the estate, compile and lint need to know of the drivers, without loading what they do. */
export const driverCatalogue: DriverCatalogue = {
  postgres: postgresDescription,
  bucket: bucketDescription,
  directory: directoryDescription,
  proxy: proxyDescription,
};
