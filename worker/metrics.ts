import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** What Muster exports at `/metrics`. A figure that is not known is absent, never 0. */
export interface Metrics {
  registry: Registry;
  rpoLagSeconds: Gauge;
  lagBytes: Gauge;
  up: Gauge;
  epoch: Gauge;
  unprotected: Gauge;
  detections: Counter;
  runs: Counter;
  stepSeconds: Histogram;
  rtoSeconds: Gauge;
  lastSelfCheck: Gauge;
  dependencyUp: Gauge;
}

export function createMetrics(role: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ role });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[]): Gauge =>
    new Gauge({ name, help, labelNames, registers });
  return {
    registry,
    dependencyUp: gauge('dr_dependency_up', 'Whether the control plane reaches what it leans on', ['name']),
    lastSelfCheck: gauge(
      'dr_self_check_timestamp_seconds',
      'When the control plane last ran a workflow of its own',
      [],
    ),
    rpoLagSeconds: gauge('dr_rpo_lag_seconds', 'Data loss if the writer were lost now', [
      'service',
      'resource',
      'method',
    ]),
    lagBytes: gauge('dr_lag_bytes', 'Write-ahead log the standby has not replayed', ['service', 'resource']),
    up: gauge('dr_writer_up', 'Whether a vantage point reaches the writer', ['service', 'from']),
    epoch: gauge('dr_epoch', 'Epoch of the present writer', ['service', 'holder']),
    unprotected: gauge('dr_unprotected', '1 while no standby follows inside the objective', ['service']),
    detections: new Counter({
      name: 'dr_detections_total',
      help: 'Outages all vantage points agreed on',
      labelNames: ['service'],
      registers,
    }),
    runs: new Counter({
      name: 'dr_runs_total',
      help: 'Runs that ended',
      labelNames: ['service', 'kind', 'outcome'],
      registers,
    }),
    stepSeconds: new Histogram({
      name: 'dr_step_seconds',
      help: 'Time one call of a step took',
      labelNames: ['verb', 'op'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
    rtoSeconds: gauge('dr_rta_seconds', 'Recovery time of the last run, by clock', ['service', 'kind', 'clock']),
  };
}
