/** Drives one plan through the engine in a simulated world with faults at every command. The same seed gives the same run. */
import { advance, newRun } from '../../workflows/engine/advance.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import type { PerformOutcome } from '../../workflows/engine/ports.ts';
import type { Command, Run, RunEvent } from '../../workflows/engine/run.ts';
import { seeded, type Random } from '../support/random.ts';
import { carryOut, durationMs, pass, SimFailure, type Call, type SimWorld } from './world.ts';

export interface SimOptions {
  seed: number;
  /** Share of calls that meet a fault. */
  faultRate: number;
  /** Share of events after which the shell crashes: results on their way are lost, timers are set anew. */
  crashRate: number;
  /** The shell crashes after exactly this event (0 = the first). */
  crashAtEvent?: number;
  /** Changes to the world at a moment of the run. */
  events?: { atMs: number; do: (world: SimWorld) => void }[];
  /** How people answer: each gate by this many different people. */
  answer?: 'approve' | 'decline' | 'nobody';
  operator?: boolean;
}

export interface SimResult {
  run: Run;
  world: SimWorld;
  trace: string[];
  records: Extract<Command, { kind: 'record' }>[];
  /** What the run waits for when the simulation ends without an outcome. */
  stuck: boolean;
}

type Undated = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, 'atMs'> : never) : never;
interface Item {
  atMs: number;
  order: number;
  act: () => Undated | null;
  /** Calls on their way do not survive a crash of the shell; a late effect in the world does. */
  call?: Call | undefined;
  timerId?: string | undefined;
}

interface Sim {
  run: Run;
  world: SimWorld;
  plan: Plan;
  random: Random;
  options: SimOptions;
  queue: Item[];
  order: number;
  /** Orders the operator has given; a person gives up at some point. */
  ordersGiven: number;
  trace: string[];
  records: SimResult['records'];
}

const longestMs = 6 * 3_600_000;
const mostEvents = 20_000;

export function simulate(plan: Plan, world: SimWorld, options: SimOptions): SimResult {
  const sim: Sim = {
    run: newRun(`sim-${options.seed}`, plan),
    world,
    plan,
    random: seeded(options.seed),
    options,
    queue: [],
    order: 0,
    ordersGiven: 0,
    trace: [],
    records: [],
  };
  for (const event of options.events ?? []) enqueue(sim, event.atMs, () => (event.do(world), null));
  enqueue(sim, 0, () => ({ kind: 'started' }));
  for (let count = 0; count < mostEvents && sim.run.status !== 'finished'; count++) {
    const item = takeNext(sim) ?? people(sim);
    if (item === null || item.atMs > longestMs) break;
    pass(world, item.atMs);
    const event = item.act();
    if (event !== null) take(sim, event);
    if (event !== null && (sim.trace.length - 1 === options.crashAtEvent || sim.random.chance(options.crashRate)))
      crash(sim);
  }
  // What is still on its way in the world happens after the run's end, and must break no law either.
  for (let item = takeNext(sim); item !== null; item = takeNext(sim)) {
    pass(world, item.atMs);
    item.act();
  }
  pass(world, world.nowMs + 10_000);
  return { run: sim.run, world, trace: sim.trace, records: sim.records, stuck: sim.run.status !== 'finished' };
}

function enqueue(sim: Sim, atMs: number, act: Item['act'], more: Pick<Item, 'call' | 'timerId'> = {}): void {
  sim.queue.push({ atMs, order: sim.order++, act, ...more });
}

function takeNext(sim: Sim): Item | null {
  let best = -1;
  for (const [i, item] of sim.queue.entries()) {
    const than = best < 0 ? undefined : sim.queue[best];
    if (than === undefined || item.atMs < than.atMs || (item.atMs === than.atMs && item.order < than.order)) best = i;
  }
  return best < 0 ? null : (sim.queue.splice(best, 1)[0] ?? null);
}

function take(sim: Sim, event: Undated): void {
  const dated = { ...event, atMs: sim.world.nowMs } as RunEvent;
  sim.trace.push(`${dated.atMs} ${describe(dated)}`);
  const { run, commands } = advance(sim.run, dated);
  sim.run = run;
  for (const command of commands) obey(sim, command);
}

function describe(event: RunEvent): string {
  return `${event.kind}${'stepId' in event ? ` ${event.stepId ?? ''}` : ''}${'timerId' in event ? ` ${event.timerId}` : ''}`;
}

function obey(sim: Sim, command: Command): void {
  if (command.kind === 'perform' || command.kind === 'confirm') call(sim, command);
  else if (command.kind === 'record') sim.records.push(command);
  else if (command.kind === 'set-timer') {
    const { timerId } = command;
    enqueue(sim, sim.world.nowMs + command.afterMs, () => ({ kind: 'timer', timerId }), { timerId });
  }
}

type Fault = 'none' | 'fails' | 'done-but-timeout' | 'lost' | 'late' | 'twice' | 'says-not-yet';
const faults: Fault[] = ['fails', 'done-but-timeout', 'lost', 'late', 'twice', 'says-not-yet'];

function call(sim: Sim, command: Call): void {
  const { world, random } = sim;
  const fault: Fault = random.chance(sim.options.faultRate) ? random.pick(faults) : 'none';
  const tookMs = durationMs(command, world, sim.plan) + random.between(0, 10);
  const endMs = world.nowMs + tookMs;
  const timedOutMs = world.nowMs + command.timeoutMs;
  const unknown: Undated = { kind: 'step-unknown', stepId: command.stepId, why: 'timed out' };
  if (tookMs > command.timeoutMs) {
    enqueue(sim, timedOutMs, () => unknown, { call: command });
    enqueue(sim, endMs, () => effect(sim, command));
    return;
  }
  switch (fault) {
    case 'fails':
      enqueue(sim, endMs, () => refusal(command), { call: command });
      return;
    case 'done-but-timeout':
      enqueue(sim, endMs, () => effect(sim, command));
      enqueue(sim, timedOutMs, () => unknown, { call: command });
      return;
    case 'lost':
      enqueue(sim, timedOutMs, () => unknown, { call: command });
      return;
    case 'late':
      enqueue(sim, timedOutMs, () => unknown, { call: command });
      enqueue(sim, timedOutMs + random.between(1, 4_000), () => effect(sim, command));
      return;
    case 'twice':
      enqueue(sim, endMs, () => answer(sim, command), { call: command });
      enqueue(sim, endMs + random.between(0, 500), () => answer(sim, command), { call: command });
      return;
    case 'says-not-yet':
      enqueue(sim, endMs, () => (effect(sim, command), notYet(command)), { call: command });
      return;
    default:
      enqueue(sim, endMs, () => answer(sim, command), { call: command });
  }
}

/** The world changes, nobody is told. A read that arrives late changes nothing. */
function effect(sim: Sim, command: Call): null {
  const reads = ['check', 'observe', 'verify', 'replicate'].includes(command.verb);
  if (command.kind === 'perform' && !reads) tryOut(sim, command);
  return null;
}

function tryOut(sim: Sim, command: Call): PerformOutcome | null {
  try {
    return carryOut(sim.world, sim.plan, command);
  } catch (err) {
    if (err instanceof SimFailure) return null;
    throw err;
  }
}

function refusal(command: Call): Undated {
  return {
    kind: 'step-failed',
    stepId: command.stepId,
    failure: { code: 'AGENT_UNREACHABLE', message: 'does not answer', retryable: true },
  };
}

function notYet(command: Call): Undated {
  const { stepId } = command;
  if (command.kind === 'perform') return { kind: 'step-not-yet', stepId, why: 'on its way' };
  return { kind: 'step-confirmed', stepId, verdict: 'unknown', why: 'cannot tell' };
}

function answer(sim: Sim, command: Call): Undated {
  const outcome = tryOut(sim, command);
  const { stepId } = command;
  if (outcome === null) return refusal(command);
  if (command.kind === 'perform') {
    if (outcome.status === 'done') return { kind: 'step-done', stepId, result: outcome };
    return { kind: outcome.status === 'unknown' ? 'step-unknown' : 'step-not-yet', stepId, why: outcome.why };
  }
  if (outcome.status === 'done') return { kind: 'step-confirmed', stepId, verdict: 'done', result: outcome };
  return { kind: 'step-confirmed', stepId, verdict: outcome.status, why: outcome.why };
}

/** The shell dies and comes back from what it had written: the run as JSON. Calls that were out have an unknown outcome. */
function crash(sim: Sim): void {
  sim.run = { ...(JSON.parse(JSON.stringify(sim.run)) as Run), plan: sim.plan };
  const lost = sim.queue.filter((item) => item.call !== undefined);
  sim.queue = sim.queue.filter((item) => item.call === undefined);
  for (const item of lost) {
    const { call: command } = item;
    if (command === undefined) continue;
    if (sim.random.chance(0.5)) enqueue(sim, item.atMs, () => effect(sim, command));
    const restartMs = sim.world.nowMs + 1_000;
    const unknown: Undated =
      command.kind === 'perform'
        ? { kind: 'step-unknown', stepId: command.stepId, why: 'the worker died' }
        : { kind: 'step-confirmed', stepId: command.stepId, verdict: 'unknown', why: 'the worker died' };
    enqueue(sim, restartMs, () => unknown, { call: command });
  }
}

/** Nothing is on its way any more: the run waits for people. They look after a minute. */
function people(sim: Sim): Item | null {
  const atMs = sim.world.nowMs + 60_000;
  const item = (act: () => Undated): Item => ({ atMs, order: sim.order++, act });
  const asking = Object.entries(sim.run.steps).find(([, state]) => state.status === 'asking');
  if (asking !== undefined) {
    const [stepId, state] = asking;
    if (sim.options.answer === undefined || sim.options.answer === 'nobody') return null;
    const by = `person-${state.approvals.length + 1}`;
    const answers = sim.options.answer;
    return item(() => ({ kind: 'answer', stepId, answer: answers, by, why: 'seen and decided' }));
  }
  if (sim.run.status !== 'paused' || sim.options.operator !== true || sim.ordersGiven++ >= 6) return null;
  const op = sim.random.pick(['resume', 'retry', 'go-ungraceful', 'skip', 'abort'] as const);
  return item(() => ({ kind: 'operator', op, by: 'operator', why: 'tries it' }));
}
