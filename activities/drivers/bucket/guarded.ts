import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PlanResource } from '../../../workflows/engine/plan.ts';
import type { GuardedDatabase, HeldLease } from '../../guard/database.ts';
import { bucketSite, isReplicated, type BucketSite } from './config.ts';
import { leaseNodes, readSite, setSite, type LeaseAnswer, type SiteView } from './cluster.ts';
import { receivesAt } from './receiving.ts';

/** Nodes that answer later than the majority are waited for this long: a hung one must not hold up a renewal. */
const stragglerMs = 60;
const pollMs = 25;

/**
 * The storage cluster of a site, for its guard: the guard's lease goes on to every node, for no longer than it runs.
 * Without one no drive takes a client's write, also after a restart or a pause of the node.
 * @throws MusterError SECRET_MISSING, CONFIG_INVALID
 */
export function guardedBucket(resource: PlanResource, site: string, leaseMs = 2_000): GuardedDatabase {
  return guardedCluster(bucketSite(resource, site), leaseMs, isReplicated(resource));
}

interface Access {
  site: BucketSite;
  limitMs: number;
  /** Until when a lease given to a node may still run there, by its host; this process's monotonic clock. */
  givenUntilMs: Map<string, number>;
  /** The cluster was seen to take writes under leases only. It stays so for good. */
  leased: boolean;
  closings: number;
  /** Copies come here while this site stands by. */
  replicated: boolean;
  /** What the site is known to be at an epoch: it stays so for as long as the epoch. */
  known: { epoch: number; role: 'primary' | 'standby' } | undefined;
}

function guardedCluster(site: BucketSite, leaseMs: number, replicated: boolean): GuardedDatabase {
  const access: Access = {
    site,
    limitMs: Math.min(1_000, leaseMs / 5),
    // A guard before this one may have given leases until just now.
    givenUntilMs: new Map(site.endpoints.map(({ host }) => [host, performance.now() + leaseMs])),
    leased: false,
    closings: 0,
    replicated,
    known: undefined,
  };
  return {
    role: () => readRole(access),
    open: (lease) => open(access, lease),
    renew: (lease) => renew(access, lease),
    close: () => close(access, access.limitMs),
    stop: (limitMs = 5_000) => close(access, Math.max(limitMs, leaseMs * 1.2)).then(() => undefined),
    start: () => Promise.resolve(),
  };
}

/** A fenced site follows the other one, one that receives copies does so too; any other believes that it is the writer. */
async function readRole(access: Access): Promise<'primary' | 'standby' | 'down'> {
  try {
    const view = await look(access);
    return view.fenced ? 'standby' : await roleOfOpen(access, view);
  } catch {
    return 'down';
  }
}

async function roleOfOpen(access: Access, { epoch }: SiteView): Promise<'primary' | 'standby'> {
  if (!access.replicated) return 'primary';
  if (access.known?.epoch === epoch) return access.known.role;
  if (!(await receivesAt(access.site, epoch, { timeoutMs: access.limitMs }))) return 'primary';
  access.known = { epoch, role: 'standby' };
  return 'standby';
}

async function look(access: Access): Promise<SiteView> {
  const view = await readSite(access.site, { timeoutMs: access.limitMs });
  // Only what a write quorum knows stays so when other drives answer.
  access.leased ||= view.leased && view.confirmedSets === view.sets;
  return view;
}

async function open(access: Access, lease: HeldLease): Promise<void> {
  const { closings } = access;
  const { site, limitMs } = access;
  const view = await look(access);
  if (view.fenced) throw closed(access, `is fenced at epoch ${view.epoch}`);
  if (!view.leased || view.epoch < lease.epoch) {
    await setSite(site, { epoch: lease.epoch, fenced: false }, { timeoutMs: limitMs });
    access.leased = true;
  }
  if (access.closings !== closings) throw closed(access, 'was closed while it was being opened');
  access.known = { epoch: lease.epoch, role: 'primary' };
  await renew(access, lease);
}

async function renew(access: Access, lease: HeldLease): Promise<void> {
  const { site, limitMs } = access;
  const untilUnixMs = Math.min(lease.endsAtUnixMs ?? Infinity, Date.now() + lease.remainingMs);
  const forMs = untilUnixMs - Date.now();
  if (forMs <= 0) throw closed(access, 'got a lease that had run out');
  const { closings } = access;
  for (const { host } of site.endpoints) access.givenUntilMs.set(host, performance.now() + forMs);
  const limit = { timeoutMs: limitMs, graceMs: stragglerMs };
  const answers = await leaseNodes(site, { epoch: lease.epoch, forMs, untilUnixMs }, limit);
  if (access.closings !== closings) throw closed(access, 'was closed while its lease was renewed');
  const held = answers.filter(({ kind }) => kind === 'held').length;
  if (held * 2 <= answers.length) throw closed(access, `took no lease: ${wordsOf(answers)}`);
}

/** Every node has given its lease back, or the last one it can have has run out. */
async function close(access: Access, withinMs: number): Promise<{ finalLsn: null }> {
  access.closings += 1;
  const { site, limitMs } = access;
  const endsAtMs = performance.now() + withinMs;
  await beLeased(access);
  for (;;) {
    const answers = await leaseNodes(site, { epoch: 0, forMs: 0, untilUnixMs: 0 }, { timeoutMs: limitMs });
    const silent = answers.filter((answer) => {
      const gaveBack = answer.kind === 'refused' || (answer.kind === 'held' && answer.remainingMs === 0);
      return !gaveBack && performance.now() < (access.givenUntilMs.get(answer.node) ?? Infinity);
    });
    if (silent.length === 0) return { finalLsn: null };
    if (performance.now() > endsAtMs) throw closed(access, `is not known to be closed: ${wordsOf(silent)}`);
    await sleep(pollMs);
  }
}

/** A cluster that was never guarded takes writes without a lease; from here on it does not. */
async function beLeased(access: Access): Promise<void> {
  if (access.leased) return;
  const view = await look(access);
  if (view.fenced || access.leased) return;
  await setSite(access.site, { epoch: view.epoch, fenced: false }, { timeoutMs: access.limitMs });
  access.leased = true;
}

function wordsOf(answers: readonly LeaseAnswer[]): string {
  return answers.map((one) => `${one.node} ${one.kind === 'held' ? 'still holds one' : one.why}`).join('; ');
}

function closed({ site }: Access, what: string): MusterError {
  return new MusterError('STORAGE_UNREACHABLE', `the storage cluster of ${site.site} ${what}`);
}
