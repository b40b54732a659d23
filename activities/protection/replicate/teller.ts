import type { ReplicateOrder } from '../../../workflows/engine/protection.ts';
import type { ReplicationStatus } from '../../../workflows/engine/replication.ts';
import { replicationFigures as figuresOf, type ReplicationFigures } from '../../mover/ledger/figures.ts';
import type { ReplicationLedger } from '../../mover/ledger/ledger.ts';
import { unknownFigures, writeStatus } from '../../drivers/bucket/replication/status.ts';
import type { Turn } from '../../drivers/bucket/replication/turn.ts';

const everyMs = 500;
/** Of a source whose log is silent for longer nobody knows how much was written, milliseconds. */
const silentMs = 3_000;

/** Tells how far a replication is: to the file that others read, and to whoever listens. */
export interface Teller extends AsyncDisposable {
  now(): ReplicationStatus;
  frozen(turn: Turn): void;
  /** Tells from a ledger until it is disposed of. */
  follow(turn: Turn, ledger: ReplicationLedger): AsyncDisposable;
  /** The source's change log has answered. */
  heard(): void;
  rate(figures: ReplicationFigures): void;
  foreign(objects: number): void;
  trouble(why: string): void;
}

export function createTeller(
  order: ReplicateOrder,
  directory: string,
  onStatus: (status: ReplicationStatus) => void,
): Teller {
  let status = firstStatus(order);
  let reading: { turn: Turn; ledger: ReplicationLedger } | undefined;
  let heardAtMs = -Infinity;
  let drainRate: ReplicationStatus['drainRate'] = null;
  let foreign: number | null = null;

  const tell = (next: Partial<ReplicationStatus>): void => {
    status = { ...status, ...next, atMs: Date.now() };
    writeStatus(directory, status);
    onStatus(status);
  };
  const look = async (): Promise<void> => {
    if (reading === undefined) return tell({});
    const { turn, ledger } = reading;
    const [totals, observed, cursor] = [
      await ledger.totals(),
      await ledger.observed(),
      await ledger.getNote('position'),
    ];
    if (reading?.ledger !== ledger) return;
    const rate = drainRate ?? undefined;
    const figures = figuresOf({ totals, observed, rate, nowMs: Date.now() });
    const silent = observed !== undefined && performance.now() - heardAtMs > silentMs;
    tell({
      ...{ from: turn.from, to: turn.to, epoch: turn.epoch, drainRate, foreign },
      ...(typeof cursor === 'number' ? { cursor } : { cursor: null }),
      ...statusOf(figures),
      phase: observed === undefined ? 'sweeping' : 'following',
      ...(silent ? silence(turn) : { why: figures.oldestPendingAgeMs.why ?? null }),
    });
  };
  const timer = setInterval(() => void look().catch(() => undefined), everyMs);
  return {
    now: () => status,
    frozen({ from: source, to: target, epoch }) {
      const frozen = { ...unknownFigures, phase: 'frozen' as const, why: 'a move of the service has frozen it' };
      tell({ ...frozen, from: source, to: target, epoch });
    },
    follow(turn, ledger) {
      reading = { turn, ledger };
      drainRate = null;
      heardAtMs = performance.now();
      return {
        [Symbol.asyncDispose]() {
          reading = undefined;
          return Promise.resolve();
        },
      };
    },
    heard: () => void (heardAtMs = performance.now()),
    rate({ drainObjectsPerSecond, drainBytesPerSecond }) {
      const [objectsPerSecond, bytesPerSecond] = [drainObjectsPerSecond.value, drainBytesPerSecond.value];
      drainRate = objectsPerSecond === null || bytesPerSecond === null ? null : { objectsPerSecond, bytesPerSecond };
    },
    foreign: (objects) => void (foreign = objects),
    trouble: (why) => tell({ phase: 'waiting', ...unknownFigures, why }),
    [Symbol.asyncDispose]() {
      clearInterval(timer);
      return Promise.resolve();
    },
  };
}

function firstStatus({ service, resource, from, to }: ReplicateOrder): ReplicationStatus {
  return {
    ...{ service, resource: resource.name, from, to, epoch: 0, phase: 'waiting', atMs: Date.now() },
    ...unknownFigures,
    why: 'it has just begun',
  };
}

function statusOf(figures: ReplicationFigures): Partial<ReplicationStatus> {
  const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1_000);
  return {
    oldestPendingAgeSeconds: inSeconds(figures.oldestPendingAgeMs.value),
    backlogObjects: figures.backlogObjects.value,
    backlogBytes: figures.backlogBytes.value,
    verifiedWatermarkMs: figures.verifiedWatermarkMs.value,
    etaSeconds: inSeconds(figures.etaMs.value),
    failed: figures.failedObjects.value,
  };
}

/** What was proved stays proved; what is missing, nobody can say. */
function silence({ from }: Turn): Partial<ReplicationStatus> {
  const why = `the change log of ${from} does not answer: what was written since is not known`;
  return { oldestPendingAgeSeconds: null, backlogObjects: null, backlogBytes: null, etaSeconds: null, why };
}
