import type { Driver } from '../driver.ts';
import { createBucketDriver } from './bucket/driver.ts';
import { directoryDriver } from './directory/driver.ts';
import { createPostgresDriver } from './postgres/driver.ts';
import type { DriverServices } from './guarded/services.ts';
import { proxyDriver } from './proxy/driver.ts';

export { driverCatalogue } from './catalogue.ts';

/** The drivers as one process uses them; what is not given comes from its environment. */
export function createDrivers(services: Partial<DriverServices> = {}): Record<string, Driver> {
  return {
    postgres: createPostgresDriver(services),
    bucket: createBucketDriver(services),
    directory: directoryDriver,
    proxy: proxyDriver,
  };
}

/** For a process without guards, such as the control plane's worker. */
export const drivers: Record<string, Driver> = createDrivers();
