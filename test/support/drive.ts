import { advance, newRun } from '../../workflows/engine/advance.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import type { Command, Run, RunEvent } from '../../workflows/engine/run.ts';

type Undated = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, 'atMs'> : never) : never;

/** A run driven by hand: each call is one event, 10 ms after the one before unless told. */
export interface Driven {
  run: Run;
  commands: Command[];
  atMs: number;
  take(event: Undated, afterMs?: number): Command[];
  /** Orders given by the last event, as `perform fence-orders`, `confirm ...`, `ask ...`, `finish protected`. */
  orders(): string[];
}

export function driven(plan: Plan): Driven {
  const self: Driven = {
    run: newRun('run-1', plan),
    commands: [],
    atMs: 0,
    take: (event, afterMs = 10) => {
      self.atMs += afterMs;
      const { run, commands } = advance(self.run, { ...event, atMs: self.atMs } as RunEvent);
      self.run = run;
      self.commands = commands;
      return commands;
    },
    orders: () => self.commands.flatMap(orderOf),
  };
  return self;
}

function orderOf(command: Command): string[] {
  switch (command.kind) {
    case 'perform':
    case 'confirm':
      return [`${command.kind} ${command.verb} ${command.stepId}`];
    case 'ask':
      return [`ask ${command.stepId}`];
    case 'set-timer':
      return [`timer ${command.timerId}`];
    case 'finish':
      return [`finish ${command.outcome}`];
    default:
      return [];
  }
}

export const ok = (stepId: string, evidence = {}): Undated => ({
  kind: 'step-done',
  stepId,
  result: { evidence, measurements: [] },
});
export const lost = (stepId: string): Undated => ({ kind: 'step-unknown', stepId, why: 'timed out' });
export const fails = (stepId: string, retryable = false): Undated => {
  return { kind: 'step-failed', stepId, failure: { code: 'AGENT_UNREACHABLE', message: 'no answer', retryable } };
};
export const confirmed = (stepId: string, verdict: 'done' | 'not-yet' | 'unknown'): Undated =>
  verdict === 'done'
    ? { kind: 'step-confirmed', stepId, verdict, result: { evidence: {}, measurements: [] } }
    : { kind: 'step-confirmed', stepId, verdict, why: 'read back' };
export const loss = (stepId: string, seconds: number | null): Undated => ({
  kind: 'step-done',
  stepId,
  result: {
    evidence: {},
    measurements: [
      {
        name: 'rpoSeconds',
        resource: 'orders',
        value: seconds,
        unit: 's',
        method: 'canary',
        confidence: seconds === null ? 'unknown' : 'measured',
      },
    ],
  },
});
