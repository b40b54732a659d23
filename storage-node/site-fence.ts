import { collect } from './consensus/collect.ts';
import { StorageError } from './errors.ts';
import { type Env } from './ports.ts';
import { compareSiteStates, type SiteLease, type SiteState } from './store/drive-api.ts';
import { type Drive } from './store/drive.ts';
import { type ErasureSet, writeQuorum } from './store/set.ts';

/**
 * Who may write at the whole site. While it is fenced, no write of a client is acknowledged by any node; while it is
 * leased, only by drives whose node holds a lease.
 */
export interface SiteFence {
  /** The epoch this node writes under. */
  epoch(): number;
  /** As the drives say, newest first to come: what at least one of any write quorum knows. */
  read(): Promise<SiteState & { confirmedSets: number; sets: number }>;
  /**
   * May be repeated. @throws StorageError InvalidArgument for a state that is not newer (`compareSiteStates`);
   * WriteQuorumLost when too few drives know.
   */
  set(state: SiteState): Promise<SiteState>;
  /**
   * Lets this node's drives take writes for so long, milliseconds from now; 0 takes the lease back. Keeps nothing.
   * @throws StorageError InvalidArgument when the site is fenced, not leased, or at a newer epoch
   */
  lease(epoch: number, forMs: number): Promise<LeaseState>;
  /** The lease of this node. */
  held(): LeaseState;
  /** Learns the newest epoch from the drives. */
  refresh(): Promise<void>;
}

/** The lease of one node as it is told: how long it still runs, milliseconds. */
export interface LeaseState {
  epoch: number;
  remainingMs: number;
}

export interface SiteFenceDeps {
  env: Env;
  sets: readonly ErasureSet[];
  /** Drives of this node: what a lease is given to. */
  own: readonly Pick<Drive, 'lease' | 'siteState' | 'setSiteState'>[];
  /** Tells the other nodes that the site's state is another now. */
  announce?: () => void;
  deadlineMs?: number;
}

export function createSiteFence(deps: SiteFenceDeps): SiteFence {
  const { env, sets, own, announce, deadlineMs = 5_000 } = deps;
  let epoch = 0;
  let held: SiteLease | undefined;
  const ask = async (set: ErasureSet): Promise<SiteState[]> => {
    const quorum = writeQuorum(set.drives.length);
    const { answered } = await collect(set.drives, (drive) => drive.api.siteState({ deadlineMs }), {
      clock: env.clock,
      deadlineMs,
      graceMs: 50,
      enough: (now) => now.answered.length >= quorum || now.failed.length > set.drives.length - quorum,
    });
    return answered.map(({ value }) => value);
  };
  const newest = (states: readonly SiteState[]): SiteState =>
    states.reduce((best, state) => (compareSiteStates(state, best) > 0 ? state : best), {
      ...{ epoch: 0, fenced: false, leased: false },
    });
  const read: SiteFence['read'] = async () => {
    const bySet = await Promise.all(sets.map(ask));
    const state = newest(bySet.flat());
    epoch = Math.max(epoch, state.epoch);
    const confirmed = bySet.filter((states, i) => {
      const alike = states.filter((one) => compareSiteStates(one, state) === 0).length;
      return alike >= writeQuorum(sets[i]!.drives.length);
    });
    return { ...state, confirmedSets: confirmed.length, sets: sets.length };
  };
  return {
    epoch: () => epoch,
    read,
    async refresh() {
      await read();
    },
    async set(state) {
      const before = await read();
      if (compareSiteStates(state, before) < 0) throw olderState(before);
      await Promise.all(
        sets.flatMap((set) => set.drives.map((drive) => drive.api.setSiteState(state, { deadlineMs }).catch(() => {}))),
      );
      announce?.();
      const after = await read();
      if (compareSiteStates(after, state) !== 0 || after.confirmedSets < sets.length) {
        const message = `${after.confirmedSets} of ${sets.length} sets confirm epoch ${state.epoch}`;
        throw new StorageError('WriteQuorumLost', message, { details: { unknown: '1' } });
      }
      return { epoch: after.epoch, fenced: after.fenced, leased: after.leased };
    },
    async lease(of, forMs) {
      // Counted from here: what the question to the drives takes must not lengthen it.
      const askedAtMs = env.clock.monotonicMs();
      if (forMs <= 0) give(undefined);
      else {
        // Renewals of a lease that runs ask nobody: the drives refuse by themselves what a newer epoch forbids.
        if (held?.epoch !== of || held.endsAtMs <= askedAtMs) await mayLease(of);
        give({ epoch: of, endsAtMs: askedAtMs + forMs });
      }
      return heldNow();
    },
    held: heldNow,
  };

  function heldNow(): LeaseState {
    const remainingMs = Math.max(0, Math.floor((held?.endsAtMs ?? 0) - env.clock.monotonicMs()));
    return { epoch: held?.epoch ?? 0, remainingMs };
  }

  function give(lease: SiteLease | undefined): void {
    held = lease;
    for (const drive of own) drive.lease(lease);
  }

  /** A lease counts only for the state the site is in; our own drives may have been away when it was set. */
  async function mayLease(of: number): Promise<void> {
    const { confirmedSets: _, sets: __, ...state } = await read();
    if (state.fenced || !state.leased || state.epoch > of) {
      throw new StorageError('InvalidArgument', `the site is ${describe(state)}: it takes no lease of epoch ${of}`, {
        details: { siteEpoch: String(state.epoch) },
      });
    }
    for (const drive of own) {
      if (compareSiteStates(await drive.siteState(), state) < 0) await drive.setSiteState(state);
    }
  }
}

function olderState(now: SiteState): StorageError {
  return new StorageError('InvalidArgument', `the site is ${describe(now)}; only a newer epoch changes that`, {
    details: { siteEpoch: String(now.epoch) },
  });
}

function describe({ epoch, fenced, leased }: SiteState): string {
  return `${fenced ? 'fenced' : leased ? 'open under a lease' : 'open'} at epoch ${epoch}`;
}
