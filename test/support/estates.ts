import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { testCatalogue } from './catalogue.ts';

const folder = path.join(import.meta.dirname, '..', '..', 'runbooks');

export function readRunbooksFile(name: string): string {
  return readFileSync(path.join(folder, name), 'utf8');
}

export const runbooksFolder = folder;

export function readShopEstate(): string {
  return readFileSync(path.join(import.meta.dirname, 'shop-estate.yaml'), 'utf8');
}

/** Service `shop` with `orders` (postgres) and `entry` (proxy). */
export function shopEstate(): Estate {
  return parseEstate(readShopEstate(), 'shop-estate.yaml', testCatalogue);
}

const parts = {
  postgres: { hangzhou: { url: 'env:A' }, beijing: { url: 'env:B' } },
  proxy: { hangzhou: { upstream: 'env:C' }, beijing: { upstream: 'env:D' } },
  app: { hangzhou: { replicas: 'env:E' }, beijing: { replicas: 'env:F' } },
};

/** Estates with one service `shop` of 1-4 databases, 0-2 proxies and 0-2 apps that depend on each other at random, without cycles. */
export function anyEstate(): fc.Arbitrary<Estate> {
  const counts = fc.record({
    postgres: fc.integer({ min: 1, max: 4 }),
    proxy: fc.integer({ min: 0, max: 2 }),
    app: fc.integer({ min: 0, max: 2 }),
  });
  return counts.chain((count) => {
    const names = (['postgres', 'proxy', 'app'] as const).flatMap((kind) =>
      Array.from({ length: count[kind] }, (_, index) => ({ name: `${kind}-${index + 1}`, kind })),
    );
    const size = names.length;
    return fc
      .tuple(
        fc.shuffledSubarray(names, { minLength: size, maxLength: size }),
        fc.array(fc.boolean(), { minLength: size * size, maxLength: size * size }),
        fc.constantFrom('automatic', 'ask'),
      )
      .map(([order, dependencies, commit]) => {
        const resources = Object.fromEntries(
          order.map(({ name, kind }, row) => {
            const after = order
              .slice(0, row)
              .flatMap((r, column) => (dependencies[row * size + column] ? [r.name] : []));
            return [name, { driver: kind, after, ...parts[kind] }];
          }),
        );
        return parseEstate(estateText({ resources, policy: { commit } }), 'any.yaml', testCatalogue);
      });
  });
}

/** An estate file of two sites with one service `shop`; what is given replaces or adds to its keys. */
export function estateText(service: Record<string, unknown>, vaults: Record<string, unknown> = {}): string {
  return stringify({
    version: 1,
    control: { url: 'env:MUSTER_CONTROL_URL', token: 'env:MUSTER_AGENT_TOKEN' },
    sites: { hangzhou: {}, beijing: {} },
    vaults,
    services: {
      shop: {
        primary: 'hangzhou',
        standby: 'beijing',
        objectives: { rpoSeconds: 5, rtoSeconds: 120 },
        resources: { orders: { driver: 'postgres', ...parts.postgres } },
        ...service,
      },
    },
  });
}
