import type { DriverCatalogue } from '../../workflows/engine/catalogue.ts';
import type { Driver } from '../driver.ts';
import { createPostgresDriver } from './postgres/driver.ts';
import type { PostgresServices } from './postgres/services.ts';
import { proxyDriver } from './proxy/driver.ts';

/** The drivers as one process uses them; what is not given comes from its environment. */
export function createDrivers(services: Partial<PostgresServices> = {}): Record<string, Driver> {
  return { postgres: createPostgresDriver(services), proxy: proxyDriver };
}

/** For a process without guards, such as the control plane's worker. */
export const drivers: Record<string, Driver> = createDrivers();

/** What compile and lint know of the drivers. */
export const driverCatalogue: DriverCatalogue = drivers;
