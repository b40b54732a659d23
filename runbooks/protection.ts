import type { PlanResource } from '../workflows/engine/plan.ts';
import type {
  ArchiveWalOrder,
  BackupOrder,
  MirrorOrder,
  ObjectReferences,
  PruneOrder,
  RenewLocksOrder,
  ReplicateOrder,
  RestoreTestOrder,
  Vault,
  VerifyOrder,
} from '../workflows/engine/protection.ts';
import type { CopyOrder } from '../workflows/engine/copying.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { EstateCopy } from './copies-estate.ts';
import { copyOrderOf, copyWorkflowId } from './copies-orders.ts';
import type { Estate, EstateResource, EstateService } from './estate.ts';
import type { BackupPolicy, EstateVault, RestoreTestPolicy } from './estate-protection.ts';
import { deepFreeze } from './freeze.ts';
import { daySeconds, longestGapSeconds, whenOf, type When } from './intervals.ts';

/** A workflow that the estate asks for. */
export interface Ordered<Order> {
  workflowType: string;
  /** The same whoever starts it, so that Temporal itself refuses a second at the same time. */
  workflowId: string;
  order: Order;
  /** Site without which it cannot be done; null when that is none of the estate's. */
  site: string | null;
  /** `''` for what is about a whole vault. */
  service: string;
}

/** One that is started again and again. */
export interface Scheduled<Order> extends Ordered<Order> {
  scheduleId: string;
  /** As the estate says it: `6h`, `daily`. */
  every: string;
  when: When;
  /** The longest time between two turns, seconds. */
  gapSeconds: number;
  jitterSeconds: number;
  catchUpSeconds: number;
}

export interface DrillOrder {
  service: string;
  kind: 'isolated' | 'live';
  startedBy: string;
}

/** Everything the estate asks for between disasters. */
export interface ProtectionPlan {
  backups: Scheduled<BackupOrder>[];
  restoreTests: Scheduled<RestoreTestOrder>[];
  prunes: Scheduled<PruneOrder>[];
  verifies: Scheduled<VerifyOrder>[];
  mirrors: Scheduled<MirrorOrder>[];
  lockRenewals: Scheduled<RenewLocksOrder>[];
  drills: Scheduled<DrillOrder>[];
  /** Those that have a time. */
  copies: Scheduled<CopyOrder>[];
  walArchives: Ordered<ArchiveWalOrder>[];
  replications: Ordered<ReplicateOrder>[];
}

/** Names of the workflows, as Temporal knows them. */
export const protectionWorkflows = {
  backup: 'backup',
  restoreTest: 'restoreTest',
  prune: 'prune',
  verify: 'verifyVault',
  mirror: 'mirrorVault',
  'renew-locks': 'renewLocks',
  archiveWal: 'archiveWal',
  replicate: 'replicate',
  copy: 'copyObjects',
  drill: 'drill',
} as const;

/** Time of day, UTC, of what is done daily or more rarely, where the estate does not say: one after the other. */
const defaultTimes = {
  backup: '01:00',
  'renew-locks': '02:00',
  mirror: '03:00',
  verify: '04:00',
  prune: '05:00',
  restoreTest: '06:00',
  copy: '07:00',
  drill: '08:00',
} as const;

const bySchedule = { startedBy: 'schedule' } as const;
/** Standing orders are given once, when the estate is applied. */
const byEstate = { startedBy: 'estate' } as const;

/** What the estate asks for, as orders. Pure: the same estate gives the same plan. */
export function compileProtection(estate: Estate): ProtectionPlan {
  const services = Object.values(estate.services);
  const vaults = Object.values(estate.vaults);
  const backups = services.flatMap((service) => service.backups.map((policy) => ({ service, policy })));
  return deepFreeze({
    backups: backups.map(({ service, policy }) => scheduledBackup(estate, service, policy)),
    restoreTests: backups.flatMap(({ service, policy }) => {
      if (policy.restoreTest === null) return [];
      return [scheduledRestoreTest(estate, service, policy, policy.restoreTest)];
    }),
    prunes: vaults.flatMap((vault) => scheduledPrune(estate, vault)),
    verifies: vaults.flatMap(scheduledVerify),
    mirrors: vaults.flatMap((vault) => scheduledMirror(estate, vault)),
    lockRenewals: vaults.flatMap(scheduledLockRenewal),
    drills: services.flatMap(scheduledDrills),
    copies: Object.values(estate.copies).flatMap((copy) => scheduledCopy(estate, copy)),
    walArchives: backups.flatMap(({ service, policy }) => archiveOf(estate, service, policy)),
    replications: services.flatMap(replicationsOf),
  });
}

/** All that has a schedule, in the order a person reads it. */
export function scheduledOf(plan: ProtectionPlan): Scheduled<unknown>[] {
  const { backups, restoreTests, prunes, verifies, mirrors, lockRenewals, copies, drills } = plan;
  return [...backups, ...restoreTests, ...lockRenewals, ...mirrors, ...verifies, ...prunes, ...copies, ...drills];
}

function scheduledBackup(estate: Estate, service: EstateService, policy: BackupPolicy): Scheduled<BackupOrder> {
  const order = {
    ...protectedOf(service, policy.resource),
    vault: vaultOf(estate, policy.to),
    ...referencesOf(policy),
    ...bySchedule,
  };
  const id = `backup/${service.name}/${policy.resource}/${policy.to}`;
  const { every, at, jitterSeconds, catchUpSeconds } = policy;
  return {
    workflowType: protectionWorkflows.backup,
    workflowId: id,
    order,
    site: service.primary,
    service: service.name,
    ...turns(id, every, at ?? defaultTimes.backup),
    ...(jitterSeconds !== null && { jitterSeconds }),
    ...(catchUpSeconds !== null && { catchUpSeconds }),
  };
}

function scheduledRestoreTest(
  estate: Estate,
  service: EstateService,
  policy: BackupPolicy,
  test: RestoreTestPolicy,
): Scheduled<RestoreTestOrder> {
  const vault = vaultOf(estate, policy.to);
  const id = `restore-test/${service.name}/${policy.resource}/${policy.to}`;
  return {
    workflowType: protectionWorkflows.restoreTest,
    workflowId: id,
    order: {
      ...protectedOf(service, policy.resource),
      vault,
      // The workflow fills in the seed: each turn chooses for itself.
      point: test.point === 'random' ? { kind: 'random', seed: '' } : { kind: 'newest' },
      target: { kind: test.target },
      checks: test.checks,
      ...referencesOf(policy),
      ...bySchedule,
    },
    site: vault.site,
    service: service.name,
    ...turns(id, test.every, test.at ?? defaultTimes.restoreTest),
  };
}

function referencesOf({ references }: BackupPolicy): { references?: ObjectReferences[] } {
  return references.length > 0 ? { references } : {};
}

/** One for each vault that anything is kept in by a rule, or whose estate says when. Copies follow what they are copies of. */
function scheduledPrune(estate: Estate, vault: EstateVault): Scheduled<PruneOrder>[] {
  const keep = Object.values(estate.services).flatMap(({ name: service, backups }) =>
    backups
      .filter(({ to }) => to === vault.name)
      .map(({ resource, keep: rules }) => ({ service, resource, keep: rules })),
  );
  const hasRules = keep.some(({ keep: rules }) => Object.keys(rules).length > 0);
  const every = vault.prune ?? (hasRules ? 'daily' : null);
  if (every === null) return [];
  const order = { vault: plainVault(vault), keep, dryRun: false, ...bySchedule };
  return [ofVault('prune', vault, order, every)];
}

function scheduledVerify(vault: EstateVault): Scheduled<VerifyOrder>[] {
  if (vault.verifyWithinSeconds === null) return [];
  const { everySeconds, percent } = verifyTurns(vault.verifyWithinSeconds);
  return [ofVault('verify', vault, { vault: plainVault(vault), percent, ...bySchedule }, everyText(everySeconds))];
}

/**
 * How often to read how much, so that every pack is read again in time although two turns fail: those that were read
 * longest ago come first, so that `100 / percent` turns read everything. Daily at most rarely.
 */
export function verifyTurns(withinSeconds: number): { everySeconds: number; percent: number } {
  const everySeconds = Math.min(daySeconds, Math.max(60, Math.floor(withinSeconds / 10 / 60) * 60));
  const turnsInTime = Math.floor(withinSeconds / everySeconds) - 2;
  if (turnsInTime <= 1) return { everySeconds, percent: 100 };
  return { everySeconds, percent: Math.ceil(10_000 / turnsInTime) / 100 };
}

function scheduledMirror(estate: Estate, vault: EstateVault): Scheduled<MirrorOrder>[] {
  if (vault.copy === null) return [];
  const order = { from: plainVault(vault), to: vaultOf(estate, vault.copy.to), ...bySchedule };
  return [ofVault('mirror', vault, order, vault.copy.every)];
}

/** Renewed in good time: although two turns fail, what is needed stays locked. Daily at most rarely. */
function scheduledLockRenewal(vault: EstateVault): Scheduled<RenewLocksOrder>[] {
  if (vault.lockSeconds === null) return [];
  const everySeconds = Math.min(daySeconds, Math.max(60, Math.floor(vault.lockSeconds / 4 / 60) * 60));
  return [ofVault('renew-locks', vault, { vault: plainVault(vault), ...bySchedule }, everyText(everySeconds))];
}

function everyText(seconds: number): string {
  if (seconds === daySeconds) return 'daily';
  return seconds % 3_600 === 0 ? `${seconds / 3_600}h` : `${seconds / 60}m`;
}

function ofVault<Order>(
  kind: 'prune' | 'verify' | 'mirror' | 'renew-locks',
  vault: EstateVault,
  order: Order,
  every: string,
): Scheduled<Order> {
  const id = `${kind}/${vault.name}`;
  const about = { workflowType: protectionWorkflows[kind], workflowId: id, order, site: vault.site, service: '' };
  return { ...about, ...turns(id, every, defaultTimes[kind]) };
}

function scheduledDrills(service: EstateService): Scheduled<DrillOrder>[] {
  return service.drills.map(({ every, kind }) => ({
    workflowType: protectionWorkflows.drill,
    workflowId: `service/${service.name}`,
    order: { service: service.name, kind, ...bySchedule },
    site: service.primary,
    service: service.name,
    ...turns(`drill/${service.name}/${kind}`, every, defaultTimes.drill),
  }));
}

function scheduledCopy(estate: Estate, { name, site, every, at }: EstateCopy): Scheduled<CopyOrder>[] {
  if (every === null) return [];
  const order = copyOrderOf(estate, name, { mode: 'do', ...bySchedule });
  const id = copyWorkflowId(name, 'do');
  const about = { workflowType: protectionWorkflows.copy, workflowId: id, order, site, service: '' };
  return [{ ...about, ...turns(id, every, at ?? defaultTimes.copy) }];
}

function archiveOf(estate: Estate, service: EstateService, policy: BackupPolicy): Ordered<ArchiveWalOrder>[] {
  if (policy.wal === null) return [];
  const order = {
    ...protectedOf(service, policy.resource),
    vault: vaultOf(estate, policy.to),
    synchronous: policy.wal === 'synchronous',
    ...byEstate,
  };
  const workflowId = `archive-wal/${service.name}/${policy.resource}/${policy.to}`;
  const workflowType = protectionWorkflows.archiveWal;
  return [{ workflowType, workflowId, order, site: service.primary, service: service.name }];
}

/** Buckets whose objects are to be copied, from the site that writes in normal times to the other. */
function replicationsOf(service: EstateService): Ordered<ReplicateOrder>[] {
  const { name, primary: from, standby: to } = service;
  return service.resources
    .filter(({ driver, shared }) => driver === 'bucket' && shared['replication'] === 'async')
    .map((resource) => ({
      workflowType: protectionWorkflows.replicate,
      workflowId: `replicate/${name}/${resource.name}`,
      order: { service: name, resource: planResource(resource), from, to, ...byEstate },
      site: from,
      service: name,
    }));
}

/** A tenth of the interval, at most 5 minutes; a quarter of it, at most a day. */
function turns(
  scheduleId: string,
  every: string,
  at: string,
): Pick<Scheduled<never>, 'scheduleId' | 'every' | 'when' | 'gapSeconds' | 'jitterSeconds' | 'catchUpSeconds'> {
  const gapSeconds = longestGapSeconds(every);
  return {
    scheduleId,
    every,
    when: whenOf(every, at),
    gapSeconds,
    jitterSeconds: Math.min(300, Math.floor(gapSeconds / 10)),
    catchUpSeconds: Math.min(daySeconds, Math.max(60, Math.floor(gapSeconds / 4))),
  };
}

function protectedOf(service: EstateService, name: string): { service: string; resource: PlanResource; site: string } {
  return { service: service.name, resource: planResource(resourceOf(service, name)), site: service.primary };
}

function resourceOf(service: EstateService, name: string): EstateResource {
  const resource = service.resources.find((one) => one.name === name);
  if (resource !== undefined) return resource;
  const known = service.resources.map((one) => one.name).join(', ');
  throw new MusterError('CONFIG_INVALID', `${service.name} has no resource "${name}"; known: ${known}`);
}

function planResource({ after: _after, ...resource }: EstateResource): PlanResource {
  return resource;
}

/** A vault of the estate by its name. @throws MusterError CONFIG_INVALID naming the vaults there are */
export function vaultOf(estate: Estate, name: string): Vault {
  const vault = Object.hasOwn(estate.vaults, name) ? estate.vaults[name] : undefined;
  if (vault !== undefined) return plainVault(vault);
  const known = Object.keys(estate.vaults).join(', ') || 'none';
  throw new MusterError('CONFIG_INVALID', `no vault is named "${name}"; known: ${known}`);
}

function plainVault({ prune: _prune, copy: _copy, ...vault }: EstateVault): Vault {
  return vault;
}
