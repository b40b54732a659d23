import { DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import { type Action, describeOperation, type Operation, type Outcome } from '../linearizability/history.ts';
import { type Machine } from './machine.ts';
import { type Scheduler } from './scheduler.ts';

/** Thrown in a client whose server died or did not answer in time: whatever it asked may still happen. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** Thrown in a client that found no server: what it asked surely did not happen. */
export class NoServer extends Error {
  override readonly name = 'NoServer';
}

/** How long a client waits for an answer, milliseconds. */
const patienceMs = 30_000;

/** The answer of a program on a machine, as a client elsewhere gets it: not at all, if the machine dies before. */
export function askFrom<T>(scheduler: Scheduler, machine: Machine, ask: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const { life } = machine;
    const timeout = scheduler.after(patienceMs, () => reject(new NoAnswer('timed out')));
    const answer = (settle: () => void): void => {
      if (life === undefined || machine.life !== life) return;
      machine.later(life, 0.1, () => {
        timeout.cancel();
        settle();
      });
    };
    ask().then(
      (value) => answer(() => resolve(value)),
      (error: unknown) => answer(() => reject(error as Error)),
    );
  });
}

/** What is known of an operation whose call failed. `no-trace`: a read; it says nothing. */
export function outcomeOfError(error: unknown): 'refused' | 'unknown' {
  if (error instanceof NoAnswer || error instanceof NoServer || error instanceof DriveUnavailable) return 'unknown';
  if (!(error instanceof StorageError)) throw error;
  if (error.code === 'PreconditionFailed' || error.code === 'NoSuchKey') return 'refused';
  if (error.code === 'Internal' || error.code === 'InvalidArgument') throw error;
  return 'unknown';
}

export interface Recorder {
  readonly operations: readonly Operation[];
  /** Runs one operation of a client and notes what became of it; one that surely did not happen leaves no note. */
  run(at: { client: string; key: string }, action: Action, ask: () => Promise<Answer>): Promise<Outcome | undefined>;
}
export type Answer = Extract<Outcome, { kind: 'ok' }>;

export function createRecorder(scheduler: Scheduler): Recorder {
  const operations: Operation[] = [];
  return {
    operations,
    async run({ client, key }, action, ask) {
      const one: Operation = {
        client,
        key,
        action,
        outcome: { kind: 'unknown' },
        calledAt: scheduler.stamp(),
        returnedAt: 0,
      };
      operations.push(one);
      const forget = (): undefined => void operations.splice(operations.indexOf(one), 1);
      scheduler.note(`${client} calls ${action.kind} ${key} ${JSON.stringify(action)}`);
      const outcome = await ask().catch((error: unknown): Outcome | undefined => {
        if (error instanceof NoServer) return undefined;
        const kind = outcomeOfError(error);
        scheduler.note(`${client}: ${String(error)}`);
        return { kind };
      });
      if (outcome === undefined) return forget();
      one.outcome = outcome;
      one.returnedAt = scheduler.stamp();
      scheduler.note(`${key} ${describeOperation(one)}`);
      return outcome;
    },
  };
}
