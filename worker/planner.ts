import { driverCatalogue } from '../activities/drivers/catalogue.ts';
import { compile, compileLiveDrill } from '../runbooks/compile.ts';
import type { Estate, EstateService } from '../runbooks/estate.ts';
import type { Runbook } from '../runbooks/runbook.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Mode, Plan, RunKind } from '../workflows/engine/plan.ts';
import { nextEpoch, type ServiceState } from './service-state.ts';

export interface PlanRequest {
  kind: RunKind;
  /** Default: graceful, but for an unplanned failover. */
  mode?: Mode;
  to?: string;
  drillKind?: 'isolated' | 'live';
  runbook?: Runbook;
  /** Who accepts a loss over the RPO beforehand, by name. */
  acceptDataLossBy?: string;
}

/**
 * Compiles the plans of a run against the present: who holds the service and which epoch comes next.
 * @throws MusterError of `compile`; ALREADY_PRIMARY when the service is where it is to go
 */
export function planRun(estate: Estate, service: EstateService, state: ServiceState, request: PlanRequest): Plan[] {
  const { kind, runbook } = request;
  const other = state.holder === service.primary ? service.standby : service.primary;
  const to = request.to ?? (kind === 'failback' ? service.primary : other);
  if (to === state.holder) throw new MusterError('ALREADY_PRIMARY', `${service.name} is at ${to} already`);
  const common = {
    estate,
    service: service.name,
    from: state.holder,
    to,
    catalogue: driverCatalogue,
    preApprovedBy: request.acceptDataLossBy ?? null,
  };
  const epoch = kind === 'reprotect' ? state.epoch : nextEpoch(state);
  if (kind === 'drill' && request.drillKind === 'live') return compileLiveDrill({ ...common, epoch });
  const mode = request.mode ?? (kind === 'failover' ? 'ungraceful' : 'graceful');
  return [compile({ ...common, kind, mode, epoch, ...(runbook && { runbook }) })];
}
