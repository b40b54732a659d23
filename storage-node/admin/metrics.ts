import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type Healer } from '../heal/healer.ts';
import { type Kernels } from '../erasure/types.ts';
import { type Drive } from '../store/drive.ts';
import { type ErasureSet } from '../store/set.ts';

export interface Metrics {
  request(seen: { operation: string; status: number; seconds: number }): void;
  text(): Promise<string>;
}

const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Prometheus metrics of a node. Gauges are read when they are asked for. */
export function createMetrics(parts: {
  drives: ReadonlyMap<number, Drive>;
  sets: readonly ErasureSet[];
  kernels: Kernels;
  healer: Healer;
}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'muster_storage_requests_total',
    help: 'Requests answered, by operation and class of status.',
    labelNames: ['operation', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'muster_storage_request_seconds',
    help: 'Time from the first byte of a request to the end of its answer being handed over.',
    labelNames: ['operation'],
    buckets,
    registers,
  });
  const gauge = (
    name: string,
    help: string,
    collect: (set: (value: number, labels?: Record<string, string>) => void) => void | Promise<void>,
    labelNames: string[] = [],
  ): void => {
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        // What is not known now must not be told as it was.
        made.reset();
        return collect((value, labels) => (labels === undefined ? made.set(value) : made.set(labels, value)));
      },
    });
  };
  const stats = [
    ['total_bytes', 'Size of the file system', 'totalBytes'],
    ['free_bytes', 'Free on the file system', 'freeBytes'],
    ['index_bytes', 'Size of the index file', 'indexBytes'],
    ['segment_bytes', 'Bytes in segment files', 'segmentBytes'],
    ['live_bytes', 'Bytes in segment files that are referred to', 'liveBytes'],
    ['registers', 'Keys in the index, tombstones included', 'registers'],
    ['quarantined', 'Things put aside because they could not be explained', 'quarantined'],
  ] as const;
  for (const [name, help, field] of stats) {
    gauge(
      `muster_storage_drive_${name}`,
      `${help}, by drive of this node.`,
      async (set) => {
        for (const [drive, api] of parts.drives) {
          // A drive too broken to say how it is must not take the other metrics away.
          const stat = await api.stat().catch(() => undefined);
          if (stat !== undefined) set(stat[field], { drive: String(drive) });
        }
      },
      ['drive'],
    );
  }
  gauge(
    'muster_storage_drive_up',
    '1 while the drive works; 0 after it stopped at a disk error.',
    (set) => {
      for (const [drive, api] of parts.drives) set(api.stopReason() === undefined ? 1 : 0, { drive: String(drive) });
    },
    ['drive'],
  );
  gauge(
    'muster_storage_set_suspects',
    'Drives of the set that this node finds dead, hung or slow.',
    (set) => {
      for (const one of parts.sets)
        set(one.drives.filter(({ health }) => health.suspect).length, { set: String(one.index) });
    },
    ['set'],
  );
  gauge(
    'muster_storage_arena_bytes',
    'Memory for shards: in use and grown to.',
    (set) => {
      set(parts.kernels.arena.inUseBytes, { state: 'used' });
      set(parts.kernels.arena.totalBytes, { state: 'total' });
    },
    ['state'],
  );
  gauge('muster_storage_resident_bytes', 'Resident memory of the process.', (set) => set(process.memoryUsage.rss()));
  gauge(
    'muster_storage_heal_total',
    'Healing since the start: keys, shards and bytes, keys queued, keys dropped from the queue, damaged shards met.',
    (set) => {
      for (const [what, value] of Object.entries(parts.healer.totals())) set(value, { what });
    },
    ['what'],
  );
  gauge(
    'muster_storage_heal_whole',
    '1 when the newest recount of the set proved that nothing is short.',
    (set) => {
      for (const { set: index, last } of parts.healer.status())
        set(last?.whole === true ? 1 : 0, { set: String(index) });
    },
    ['set'],
  );
  gauge(
    'muster_storage_scrubbed_timestamp_seconds',
    'End of the newest pass that verified every block of the set; 0 when there was none.',
    (set) => {
      for (const { set: index, scrubbedAtMs } of parts.healer.status())
        set((scrubbedAtMs ?? 0) / 1000, { set: String(index) });
    },
    ['set'],
  );

  const bound = new Map<string, { inc: () => void; observe: (value: number) => void }>();
  return {
    request({ operation, status, seconds: took }) {
      const name = `${operation} ${Math.floor(status / 100)}`;
      let labels = bound.get(name);
      if (labels === undefined) {
        const counter = requests.labels(operation, `${Math.floor(status / 100)}xx`);
        const histogram = seconds.labels(operation);
        labels = { inc: () => counter.inc(), observe: (value) => histogram.observe(value) };
        bound.set(name, labels);
      }
      labels.inc();
      labels.observe(took);
    },
    text: () => registry.metrics(),
  };
}
