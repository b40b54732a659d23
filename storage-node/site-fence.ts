import { collect } from './consensus/collect.ts';
import { StorageError } from './errors.ts';
import { type Env } from './ports.ts';
import { type SiteState } from './store/drive-api.ts';
import { type ErasureSet, writeQuorum } from './store/set.ts';

/** The fence of the whole site: while it is up, no write of a client is acknowledged by any node. */
export interface SiteFence {
  /** The epoch this node writes under. */
  epoch(): number;
  /** As the drives say, newest first to come: what at least one of any write quorum knows. */
  read(): Promise<SiteState & { confirmedSets: number; sets: number }>;
  /** @throws StorageError InvalidArgument for an epoch that is not newer; WriteQuorumLost when too few drives know. */
  set(state: SiteState): Promise<SiteState>;
  /** Learns the newest epoch from the drives. */
  refresh(): Promise<void>;
}

export function createSiteFence(env: Env, sets: readonly ErasureSet[], deadlineMs = 5_000): SiteFence {
  let epoch = 0;
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
    states.reduce((best, state) => (state.epoch > best.epoch ? state : best), { epoch: 0, fenced: false });
  const read: SiteFence['read'] = async () => {
    const bySet = await Promise.all(sets.map(ask));
    const state = newest(bySet.flat());
    epoch = Math.max(epoch, state.epoch);
    const confirmed = bySet.filter((states, i) => {
      const alike = states.filter((one) => one.epoch === state.epoch && one.fenced === state.fenced).length;
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
      const repeated = before.epoch === state.epoch && before.fenced === state.fenced;
      if (state.epoch <= before.epoch && !repeated) {
        throw new StorageError('InvalidArgument', `the site is at epoch ${before.epoch}; the epoch must be newer`, {
          details: { siteEpoch: String(before.epoch) },
        });
      }
      await Promise.all(
        sets.flatMap((set) => set.drives.map((drive) => drive.api.setSiteState(state, { deadlineMs }).catch(() => {}))),
      );
      const after = await read();
      if (after.epoch !== state.epoch || after.fenced !== state.fenced || after.confirmedSets < sets.length) {
        const message = `${after.confirmedSets} of ${sets.length} sets confirm epoch ${state.epoch}`;
        throw new StorageError('WriteQuorumLost', message, { details: { unknown: '1' } });
      }
      return { epoch: after.epoch, fenced: after.fenced };
    },
  };
}
