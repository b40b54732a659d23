import { Gauge, type Registry } from 'prom-client';
import { forecastRestore } from '../activities/protection/proof/restore-forecast.ts';
import { replicationFigures } from '../activities/drivers/bucket/replication/status.ts';
import type { Estate } from '../runbooks/estate.ts';
import { compileProtection, type ProtectionPlan } from '../runbooks/protection.ts';
import { lastKnownGood, untilNow } from '../workflows/engine/recovery-choice.ts';
import { every, type Repeating } from './every.ts';
import type { Ledger } from './ledger/ledger.ts';
import { keepReplicationHistory } from './replication-history.ts';

const lookEveryMs = 15_000;
const replicationEveryMs = 1_000;
/** So many of the newest points and proofs of a resource are looked at. */
const looked = 1_000;

export interface ProtectionWatchDeps {
  estate: Estate;
  ledger: Ledger;
  registry: Registry;
  /** Where the ledgers of replications are. */
  stateDir: string;
}

/**
 * Exports how well the services are protected. Ages are exported as the moments they count from, so that they grow also
 * while nobody looks. A figure that is not known is absent, never 0.
 */
export function watchProtection({ estate, ledger, registry, stateDir }: ProtectionWatchDeps): Repeating[] {
  const plan = compileProtection(estate);
  const gauges = createGauges(registry);
  const lookAtBackups = async (): Promise<void> => {
    await showBackups(plan, gauges, ledger);
    await showVaults(plan, gauges, ledger);
  };
  // The RPO of a bucket moves by the second; backups move by the hour.
  const replications = every(replicationEveryMs, async () => showReplications(plan, gauges, stateDir));
  const backups = every(lookEveryMs, lookAtBackups, () => {
    for (const gauge of gauges.fromLedger) gauge.reset();
  });
  const remember = keepReplicationHistory(plan, stateDir, ledger);
  const history = every(lookEveryMs, () => remember(Date.now()));
  return [replications, backups, history];
}

type Gauges = ReturnType<typeof createGauges>;

function createGauges(registry: Registry) {
  const gauge = (name: string, help: string, labelNames: string[]): Gauge =>
    new Gauge({ name: `dr_${name}`, help, labelNames, registers: [registry] });
  const backup = ['service', 'resource', 'vault'];
  const replication = ['service', 'resource'];
  const fromLedger = {
    lastBackup: gauge('backup_timestamp_seconds', 'Moment of the newest complete recovery point', backup),
    lastGood: gauge('backup_proven_timestamp_seconds', 'Moment of the newest recovery point that was proven', backup),
    lastProofFailed: gauge('restore_test_last_failed', '1 when the newest restore test failed', backup),
    restoreSeconds: gauge('restore_test_seconds', 'Until the copy could be used, in the newest proof', backup),
    restoreForecast: gauge(
      'restore_forecast_seconds',
      'A restore of the newest point, told from the proofs of its vault',
      backup,
    ),
    unverified: gauge('vault_oldest_verified_timestamp_seconds', 'When the pack read longest ago was read', ['vault']),
    neverRead: gauge('vault_packs_never_read', 'Packs not read since they were written, at the last check', ['vault']),
    damaged: gauge('vault_damaged', '1 when the last check found damage', ['vault']),
  };
  return {
    ...fromLedger,
    fromLedger: Object.values(fromLedger),
    pendingAge: gauge(
      'replication_oldest_pending_seconds',
      'Age of the oldest write not at the other site',
      replication,
    ),
    backlogObjects: gauge('replication_backlog_objects', 'Writes not at the other site', replication),
    backlogBytes: gauge('replication_backlog_bytes', 'Bytes not at the other site', replication),
  };
}

async function showBackups(plan: ProtectionPlan, gauges: Gauges, ledger: Ledger): Promise<void> {
  for (const { order } of plan.backups) {
    const of = { service: order.service, resource: order.resource.name };
    const labels = { ...of, vault: order.vault.name };
    const nowMs = Date.now();
    // Dated into the future by a clock that was wrong, one would look young for as long.
    const points = untilNow(await ledger.recoveryPoints({ ...labels, limit: looked }), nowMs);
    const ids = new Set(points.map(({ id }) => id));
    const all = await ledger.restoreProofs({ ...of, limit: looked });
    const proofs = all.filter(({ pointId }) => ids.has(pointId));
    set(gauges.lastBackup, labels, secondsOf(points.find(({ status }) => status === 'complete')?.takenAtMs));
    set(gauges.lastGood, labels, secondsOf(lastKnownGood(points, proofs)?.point.takenAtMs));
    const [newest] = proofs;
    set(gauges.lastProofFailed, labels, newest === undefined ? null : newest.verdict === 'failed' ? 1 : 0);
    set(gauges.restoreSeconds, labels, newest?.restoreSeconds ?? null);
    const told = { vault: order.vault.name, walToLsn: null, nowMs };
    const forecast = forecastRestore(points, all, told);
    set(gauges.restoreForecast, labels, forecast.confidence === 'unknown' ? null : forecast.seconds);
  }
}

async function showVaults(plan: ProtectionPlan, gauges: Gauges, ledger: Ledger): Promise<void> {
  const names = new Set(plan.backups.map(({ order }) => order.vault.name));
  for (const vault of names) {
    const [last] = await ledger.protectionRuns({ vault, kind: 'verify', limit: 1 });
    const number = (name: string): number | null => {
      const value = last?.facts[name];
      return typeof value === 'number' ? value : null;
    };
    const age = number('oldestAgeSeconds');
    set(gauges.unverified, { vault }, last === undefined || age === null ? null : last.endedAtMs / 1_000 - age);
    set(gauges.neverRead, { vault }, number('neverRead'));
    set(gauges.damaged, { vault }, last === undefined ? null : last.outcome === 'failed' ? 1 : 0);
  }
}

function showReplications(plan: ProtectionPlan, gauges: Gauges, stateDir: string): void {
  for (const { order } of plan.replications) {
    const labels = { service: order.service, resource: order.resource.name };
    const figures = replicationFigures(stateDir, labels.service, labels.resource);
    set(gauges.pendingAge, labels, figures?.oldestPendingAgeSeconds ?? null);
    set(gauges.backlogObjects, labels, figures?.backlogObjects ?? null);
    set(gauges.backlogBytes, labels, figures?.backlogBytes ?? null);
  }
}

function set(gauge: Gauge, labels: Record<string, string>, value: number | null): void {
  if (value === null) gauge.remove(labels);
  else gauge.set(labels, value);
}

function secondsOf(ms: number | undefined): number | null {
  return ms === undefined ? null : ms / 1_000;
}
