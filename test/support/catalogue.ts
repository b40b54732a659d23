import type { DriverCatalogue, DriverDescription, VerbDescription } from '../../workflows/engine/catalogue.ts';
import type { Json, Verb } from '../../workflows/engine/plan.ts';

type Finding = ReturnType<DriverDescription['validate']>[number];

/** A verb that only looks; the tables below say what differs. */
function verb(about: Partial<VerbDescription>): VerbDescription {
  return {
    effect: 'read',
    needs: ['target'],
    runsAt: 'control',
    estimateSeconds: 0.1,
    withinSeconds: 10,
    undo: null,
    repeatable: true,
    ...about,
  };
}

const postgresVerbs: Partial<Record<Verb, VerbDescription>> = {
  check: verb({ estimateSeconds: 0.3 }),
  observe: verb({ runsAt: 'to', estimateSeconds: 0.2 }),
  fence: verb({ effect: 'change', needs: ['nothing'], estimateSeconds: 0.5, withinSeconds: 30, undo: 'unfence' }),
  unfence: verb({ effect: 'change', needs: ['source'] }),
  promote: verb({ effect: 'irreversible', runsAt: 'to', estimateSeconds: 0.8, withinSeconds: 60 }),
  verify: verb({ runsAt: 'to', estimateSeconds: 0.2 }),
  rejoin: verb({
    effect: 'irreversible',
    needs: ['source', 'target'],
    runsAt: 'from',
    estimateSeconds: 10,
    withinSeconds: 900,
  }),
  replicate: verb({
    effect: 'change',
    needs: ['source', 'target'],
    runsAt: 'to',
    estimateSeconds: 5,
    withinSeconds: 300,
  }),
  backup: verb({ needs: ['source'], runsAt: 'from', estimateSeconds: 5, withinSeconds: 300 }),
  restore: verb({ effect: 'change', runsAt: 'to', estimateSeconds: 10, withinSeconds: 600 }),
};

const proxyVerbs: Partial<Record<Verb, VerbDescription>> = {
  check: verb({ needs: ['nothing'] }),
  quiesce: verb({ effect: 'change', needs: ['nothing'], undo: 'unfence' }),
  unfence: verb({ effect: 'change', needs: ['nothing'] }),
  route: verb({ effect: 'change', needs: ['nothing'], withinSeconds: 15 }),
  verify: verb({ estimateSeconds: 0.5, withinSeconds: 20 }),
};

const appVerbs: Partial<Record<Verb, VerbDescription>> = {
  check: verb({ needs: ['nothing'] }),
  scale: verb({ effect: 'change', runsAt: 'to', estimateSeconds: 1, withinSeconds: 60 }),
};

function record(value: Json | undefined): Record<string, Json> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

/** Checks keys by name only: enough for the tests, never quoting a value. */
function checkParts(resource: Json, sites: readonly string[], shared: string[], perSite: string[]): Finding[] {
  const part = record(resource) ?? {};
  const findings: Finding[] = [];
  for (const key of Object.keys(part))
    if (![...shared, ...sites].includes(key)) findings.push({ path: [key], message: 'unknown key', fix: 'remove it' });
  for (const site of sites) {
    const values = record(part[site]);
    if (values === null) {
      findings.push({ path: [site], message: 'missing', fix: `add "${site}": what the driver needs there` });
      continue;
    }
    for (const key of Object.keys(values))
      if (!perSite.includes(key)) findings.push({ path: [site, key], message: 'unknown key', fix: 'remove it' });
    const [required] = perSite;
    if (required !== undefined && typeof values[required] !== 'string')
      findings.push({ path: [site, required], message: 'missing', fix: `add "${required}": a reference or a URL` });
  }
  return findings;
}

const postgresSiteKeys = ['url', 'replicationUrl', 'dataDir', 'binDir', 'host', 'port'];

/** Drivers as data, shaped like the real `postgres` and `proxy`, and an `app` that is only scaled. */
export const testCatalogue: DriverCatalogue = {
  postgres: {
    kind: 'postgres',
    verbs: postgresVerbs,
    stateful: true,
    routes: false,
    validate: (resource, sites) => checkParts(resource, sites, ['tables', 'synchronous'], postgresSiteKeys),
  },
  proxy: {
    kind: 'proxy',
    verbs: proxyVerbs,
    stateful: false,
    routes: true,
    validate: (resource, sites) => checkParts(resource, sites, ['admin', 'token'], ['upstream']),
  },
  app: {
    kind: 'app',
    verbs: appVerbs,
    stateful: false,
    routes: false,
    validate: (resource, sites) => checkParts(resource, sites, [], ['replicas']),
  },
};
