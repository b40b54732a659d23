/**
 * A world in memory for the engine: two sites with a database each, a lease with its granter, and an entry. It keeps the
 * laws that the real parts keep (a database writes only while it holds a lease; a granter never grants an epoch that was
 * stopped), so that a broken rule found here is the engine's or the plan's. Time is the caller's.
 */
import type { Command } from '../../workflows/engine/run.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import type { PerformOutcome } from '../../workflows/engine/ports.ts';

export const leaseMs = 2_000;

export interface SimSite {
  name: string;
  alive: boolean;
  /** Reached by the control plane. A site cut off renews no lease and answers nothing, but its database may still write. */
  connected: boolean;
  role: 'primary' | 'standby';
  epoch: number;
  /** The site's own lease: until when its database may write. */
  leaseEndMs: number;
  closed: boolean;
  scratch: boolean;
  /** A copy that was removed stays removed: a restore of the same run that arrives late is refused. */
  scratchGone: boolean;
}

export interface SimWorld {
  nowMs: number;
  sites: Record<string, SimSite>;
  granter: { epoch: number; holder: string; stoppedThrough: number; lastGrantEndMs: number };
  entry: { route: string; mode: 'open' | 'hold'; epoch: number };
  /** What the standby would lose now, seconds; null = nobody can tell. */
  lossSeconds: number | null;
  /** Broken laws, in words. */
  violations: string[];
}

export function newWorld(from: string, to: string, lossSeconds: number | null): SimWorld {
  const site = (name: string, role: SimSite['role']): SimSite => {
    return {
      name,
      role,
      alive: true,
      connected: true,
      epoch: role === 'primary' ? 1 : 0,
      leaseEndMs: role === 'primary' ? leaseMs : 0,
      closed: false,
      scratch: false,
      scratchGone: false,
    };
  };
  return {
    nowMs: 0,
    sites: { [from]: site(from, 'primary'), [to]: site(to, 'standby') },
    granter: { epoch: 1, holder: from, stoppedThrough: 0, lastGrantEndMs: leaseMs },
    entry: { route: from, mode: 'open', epoch: 1 },
    lossSeconds,
    violations: [],
  };
}

/** Lets time pass: guards renew what they may, and the laws are checked. */
export function pass(world: SimWorld, toMs: number): void {
  world.nowMs = Math.max(world.nowMs, toMs);
  const { granter } = world;
  for (const site of Object.values(world.sites)) {
    const mayRenew = site.alive && site.connected && site.role === 'primary' && !site.closed;
    if (
      !mayRenew ||
      granter.holder !== site.name ||
      granter.epoch !== site.epoch ||
      granter.epoch <= granter.stoppedThrough
    )
      continue;
    site.leaseEndMs = world.nowMs + leaseMs;
    granter.lastGrantEndMs = world.nowMs + leaseMs;
  }
  checkLaws(world);
}

export function writes(world: SimWorld, site: SimSite): boolean {
  return site.alive && site.role === 'primary' && !site.closed && world.nowMs < site.leaseEndMs;
}

function checkLaws(world: SimWorld): void {
  const writers = Object.values(world.sites).filter((site) => writes(world, site));
  if (writers.length > 1)
    violate(world, `two writers: ${writers.map((w) => `${w.name} in epoch ${w.epoch}`).join(' and ')}`);
}

function violate(world: SimWorld, text: string): void {
  world.violations.push(`at ${world.nowMs} ms: ${text}`);
}

/** How long a verb takes in the world, milliseconds. */
export function durationMs(command: Call, world: SimWorld, plan: Plan): number {
  if (command.kind === 'confirm') return 10;
  if (command.verb === 'fence') return fenceWaitMs(world, plan);
  return { promote: 150, rejoin: 1_500, restore: 2_000, verify: 60 }[command.verb as string] ?? 10;
}

function fenceWaitMs(world: SimWorld, plan: Plan): number {
  const old = world.sites[oldWriter(plan)];
  if (old === undefined || (old.alive && old.connected)) return 40;
  return Math.max(0, world.granter.lastGrantEndMs - world.nowMs) + 100;
}

export type Call = Extract<Command, { kind: 'perform' | 'confirm' }>;

const done = (
  evidence = {},
  measurements: Extract<PerformOutcome, { status: 'done' }>['measurements'] = [],
): PerformOutcome => {
  return { status: 'done', evidence, measurements };
};
const notYet = (why: string): PerformOutcome => ({ status: 'not-yet', why });

/** In a reprotect the writer is `from` and the one to close is `to`; elsewhere the old writer is `from`. */
function oldWriter(plan: Plan): string {
  return plan.kind === 'reprotect' ? plan.to : plan.from;
}

/** Carries a command out, now. `confirm` only looks. Throws for a failure that changed nothing. */
export function carryOut(world: SimWorld, plan: Plan, command: Call): PerformOutcome {
  const looks = command.kind === 'confirm';
  switch (command.verb) {
    case 'check':
      return check(world, plan);
    case 'observe':
      return observe(world, plan, command);
    case 'quiesce':
      return looks ? is(world.entry.mode === 'hold', 'the entry is open') : hold(world, plan);
    case 'unfence':
      return command.resource === 'entry' ? reopenEntry(world) : reopenOld(world, plan);
    case 'fence':
      return looks ? fenced(world, plan) : fence(world, plan);
    case 'promote':
      return looks ? promoted(world, plan) : promote(world, plan);
    case 'route':
      return looks
        ? is(world.entry.route === plan.to && world.entry.epoch === plan.epoch, 'not routed')
        : route(world, plan);
    case 'rejoin':
      return looks ? rejoined(world, plan) : rejoin(world, plan);
    case 'restore':
      return restore(world, plan, command, looks);
    default:
      return verifyOrReplicate(world, plan, command);
  }
}

class SimFailure extends Error {}
export { SimFailure };

function need(ok: boolean, text: string): void {
  if (!ok) throw new SimFailure(text);
}

function is(ok: boolean, why: string): PerformOutcome {
  return ok ? done() : notYet(why);
}

function reach(world: SimWorld, name: string): SimSite {
  const site = world.sites[name];
  need(site !== undefined && site.alive && site.connected, `${name} does not answer`);
  return site as SimSite;
}

function check(world: SimWorld, plan: Plan): PerformOutcome {
  if (plan.kind !== 'reprotect') reach(world, plan.to);
  if (plan.kind !== 'failover' || plan.mode === 'graceful') return done();
  return done({}, [rpo(world)]);
}

function rpo(world: SimWorld): Extract<PerformOutcome, { status: 'done' }>['measurements'][number] {
  const known = world.lossSeconds !== null;
  return {
    name: 'rpoSeconds',
    resource: 'orders',
    value: world.lossSeconds,
    unit: 's',
    method: 'canary',
    confidence: known ? 'measured' : 'unknown',
  };
}

function observe(world: SimWorld, plan: Plan, command: Call): PerformOutcome {
  reach(world, plan.to);
  if (command.args['freeze'] !== true) {
    reach(world, plan.from);
    return done();
  }
  const old = world.sites[plan.from];
  if (old !== undefined && writes(world, old))
    violate(world, 'the loss was frozen while the old writer could still write');
  return done({}, [rpo(world)]);
}

function hold(world: SimWorld, plan: Plan): PerformOutcome {
  need(world.entry.epoch <= plan.epoch, 'a newer epoch rules the entry');
  world.entry.mode = 'hold';
  return done();
}

function reopenEntry(world: SimWorld): PerformOutcome {
  world.entry.mode = 'open';
  return done();
}

function fence(world: SimWorld, plan: Plan): PerformOutcome {
  world.granter.stoppedThrough = Math.max(world.granter.stoppedThrough, plan.kind === 'reprotect' ? 0 : plan.epoch - 1);
  const old = world.sites[oldWriter(plan)];
  // A guard closes through the epochs named, not a newer one that an undo has given it since.
  if (old !== undefined && old.alive && old.connected && (old.epoch < plan.epoch || plan.kind === 'reprotect'))
    old.closed = true;
  return fenced(world, plan);
}

function fenced(world: SimWorld, plan: Plan): PerformOutcome {
  const old = world.sites[oldWriter(plan)];
  const answered = old !== undefined && old.alive && old.connected && old.closed;
  const over = world.granter.stoppedThrough >= plan.epoch - 1 && world.nowMs >= world.granter.lastGrantEndMs;
  if (plan.kind === 'reprotect') return is(answered, 'the returned site has not closed its database');
  return is(answered || over, 'the lease still runs');
}

/** Giving the lease back to the old writer: only while no newer one was promoted. */
function reopenOld(world: SimWorld, plan: Plan): PerformOutcome {
  need(world.granter.epoch <= plan.epoch && world.granter.holder === plan.from, 'another site was promoted');
  world.granter.epoch = plan.epoch;
  const old = world.sites[plan.from];
  if (old !== undefined && old.alive && old.connected) {
    old.closed = false;
    old.epoch = plan.epoch;
  }
  return done();
}

function promote(world: SimWorld, plan: Plan): PerformOutcome {
  const site = reach(world, plan.to);
  const { granter } = world;
  need(granter.epoch < plan.epoch || granter.holder === plan.to, 'stale epoch');
  if (world.nowMs < granter.lastGrantEndMs && granter.holder !== plan.to) {
    const old = world.sites[granter.holder];
    if (old !== undefined && writes(world, old))
      violate(world, `promoted in epoch ${plan.epoch} while ${old.name} may write`);
  }
  granter.epoch = plan.epoch;
  granter.holder = plan.to;
  site.role = 'primary';
  site.epoch = plan.epoch;
  site.closed = false;
  site.leaseEndMs = world.nowMs + leaseMs;
  granter.lastGrantEndMs = site.leaseEndMs;
  checkLaws(world);
  return done();
}

function promoted(world: SimWorld, plan: Plan): PerformOutcome {
  const site = reach(world, plan.to);
  return is(site.role === 'primary' && site.epoch === plan.epoch, 'still a standby');
}

function route(world: SimWorld, plan: Plan): PerformOutcome {
  need(world.entry.epoch <= plan.epoch, 'a newer epoch rules the entry');
  const target = world.sites[plan.to];
  if (target === undefined || target.role !== 'primary')
    violate(world, `clients were routed to ${plan.to}, which nobody promoted`);
  world.entry = { route: plan.to, mode: 'open', epoch: plan.epoch };
  return done();
}

function rejoin(world: SimWorld, plan: Plan): PerformOutcome {
  const back = reach(world, oldWriter(plan));
  const writer = world.sites[plan.kind === 'reprotect' ? plan.from : plan.to];
  if (back.role === 'primary' && writes(world, back)) violate(world, `${back.name} was rejoined while it could write`);
  if (writer === undefined || writer.role !== 'primary') violate(world, 'rejoined to a site that is not the writer');
  back.role = 'standby';
  back.closed = false;
  return done();
}

function rejoined(world: SimWorld, plan: Plan): PerformOutcome {
  return is(reach(world, oldWriter(plan)).role === 'standby', 'not a standby yet');
}

function restore(world: SimWorld, plan: Plan, command: Call, looks: boolean): PerformOutcome {
  const site = reach(world, plan.to);
  const wanted = command.args['remove'] !== true;
  if (!looks) {
    need(!wanted || !site.scratchGone, 'the copy of this run was removed');
    site.scratch = wanted;
    site.scratchGone = !wanted;
  }
  // Seeing nothing is not enough: only the mark that the removal leaves keeps a late restore out.
  return is(wanted ? site.scratch : site.scratchGone && !site.scratch, 'the scratch copy is not as wanted');
}

function verifyOrReplicate(world: SimWorld, plan: Plan, command: Call): PerformOutcome {
  const site = reach(world, command.site ?? (plan.kind === 'reprotect' ? plan.from : plan.to));
  if (command.verb === 'verify' && plan.kind !== 'drill') need(writes(world, site), `${site.name} takes no writes`);
  if (command.verb === 'replicate') need(reach(world, oldWriter(plan)).role === 'standby', 'no standby follows');
  return done();
}
