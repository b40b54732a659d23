import { z } from 'zod';
import { MusterError } from '../../workflows/engine/errors.ts';
import { readDurable, writeDurably } from './durable-file.ts';
import { answerLease, granterState, nameHolder, startGranter, stopThrough } from './granter.ts';
import type { GranterPromise, GranterRecord } from './granter.ts';
import type {
  EpochRequest,
  GranterState,
  LeaseAnswer,
  LeaseRequest,
  StopGrantingAnswer,
  StopGrantingRequest,
} from './protocol.ts';

const epoch = z.number().int().min(0);
const promises = z.object({
  version: z.literal(1),
  services: z.record(
    z.string(),
    z.object({ epoch, holder: z.string().nullable(), stoppedThrough: epoch, leaseMs: z.number().positive() }),
  ),
});

export interface GranterOptions {
  /** File with what this granter promised; written and synced before a promise is answered. */
  stateFile: string;
  /** Site where it runs, to which it never grants; null at the control plane. */
  site: string | null;
  services: Readonly<Record<string, { leaseMs: number }>>;
  /** Monotonic milliseconds. */
  nowMs?: () => number;
}

/** All granters of one process, with their memory on disk. */
export interface Granter {
  lease(request: LeaseRequest): LeaseAnswer;
  /** @throws MusterError SERVICE_UNKNOWN; any other error: the promise is not on disk, and not answered. */
  stopGranting(request: StopGrantingRequest): StopGrantingAnswer;
  /** @throws MusterError SERVICE_UNKNOWN, EPOCH_STALE */
  putEpoch(request: EpochRequest): GranterState;
  /**
   * Takes over what another granter knows, upwards only. For a granter that was away while others went on (a returning
   * site, a control plane restored from a backup): call it before it answers anybody.
   */
  learn(other: GranterState): void;
  states(): GranterState[];
}

/** @throws MusterError CONFIG_INVALID when the state file is damaged. */
export function openGranter(options: GranterOptions): Granter {
  return new GranterOnDisk(options);
}

class GranterOnDisk implements Granter {
  private readonly options: GranterOptions;
  private readonly now: () => number;
  private readonly promised: Readonly<Record<string, GranterPromise>>;
  private readonly records = new Map<string, GranterRecord>();

  constructor(options: GranterOptions) {
    this.options = options;
    this.now = options.nowMs ?? (() => performance.now());
    this.promised = readDurable(options.stateFile, promises)?.services ?? {};
    for (const [service, { leaseMs }] of Object.entries(options.services)) {
      this.records.set(service, startGranter(service, leaseMs, this.promised[service] ?? null, this.now()));
    }
  }

  lease(request: LeaseRequest): LeaseAnswer {
    const record = this.records.get(request.service);
    if (record === undefined) return { kind: 'refused', epoch: 0, holder: null, why: 'unknown-service' };
    const answered = answerLease(record, request, this.options.site, this.now());
    this.records.set(request.service, answered.record);
    return answered.answer;
  }

  stopGranting(request: StopGrantingRequest): StopGrantingAnswer {
    const stopped = stopThrough(this.known(request.service), request.throughEpoch);
    // In force even if the disk refuses: granting on would be the worse mistake.
    this.records.set(request.service, stopped);
    this.save(stopped);
    const { remainingMs } = granterState(stopped, this.now());
    return { kind: 'stopped', throughEpoch: stopped.stoppedThrough, remainingMs };
  }

  putEpoch(request: EpochRequest): GranterState {
    const record = this.known(request.service);
    const named = nameHolder(record, request);
    if (named === null) throw staleEpoch(request, record);
    this.save(named);
    this.records.set(request.service, named);
    return granterState(named, this.now());
  }

  learn(other: GranterState): void {
    const record = this.records.get(other.service);
    if (record === undefined) return;
    const { holder } = other;
    const raised = holder === null ? record : (nameHolder(record, { ...other, holder }) ?? record);
    const learned = stopThrough(raised, other.stoppedThrough);
    if (learned.epoch === record.epoch && learned.stoppedThrough === record.stoppedThrough) return;
    this.save(learned);
    this.records.set(other.service, learned);
  }

  states(): GranterState[] {
    return [...this.records.values()].map((record) => granterState(record, this.now()));
  }

  private known(service: string): GranterRecord {
    const record = this.records.get(service);
    if (record === undefined) throw new MusterError('SERVICE_UNKNOWN', `this granter knows no service ${service}`);
    return record;
  }

  private save(changed: GranterRecord): void {
    // Services that the estate no longer names stay: what was promised about them still stands if they come back.
    const services = { ...this.promised };
    for (const record of [...this.records.values(), changed]) services[record.service] = promiseOf(record);
    writeDurably(this.options.stateFile, { version: 1, services });
  }
}

function promiseOf({ epoch, holder, stoppedThrough, leaseMs }: GranterRecord): GranterPromise {
  return { epoch, holder, stoppedThrough, leaseMs };
}

function staleEpoch(request: EpochRequest, record: GranterRecord): MusterError {
  const seen = Math.max(record.epoch, record.stoppedThrough);
  return new MusterError(
    'EPOCH_STALE',
    `epoch ${request.epoch} for ${request.holder} is refused: ${request.service} is at epoch ${record.epoch}` +
      ` (${record.holder ?? 'no holder'}), and ${seen} is the highest seen`,
  );
}
