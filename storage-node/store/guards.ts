import {
  type AcceptReply,
  type AcceptRequest,
  type BucketGuard,
  bucketIdBytes,
  compareSiteStates,
  type FenceReason,
  type SiteLease,
  type SiteState,
} from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { textOf } from './bytes.ts';

const siteKey = Buffer.from('site');
const bucketPrefix = 'bucket/';

/** What a drive refuses clients for: the fence and lease of the site, and buckets whose settings the writer did not know. */
export interface Guards {
  refuse(request: AcceptRequest): AcceptReply | undefined;
  /** The lease of the site from now on; undefined takes it back. */
  lease(lease: SiteLease | undefined): void;
  site(): Promise<SiteState>;
  setSite(state: SiteState): Promise<SiteState>;
  guardBucket(guard: BucketGuard): Promise<BucketGuard>;
}

export function createGuards(core: DriveCore): Guards {
  const buckets = new Map<string, BucketGuard>();
  let site: SiteState = { epoch: 0, fenced: false, leased: false };
  let lease: SiteLease | undefined;
  const known = core.index.get('meta', siteKey);
  if (known !== undefined) site = { ...site, ...(JSON.parse(known.toString()) as SiteState) };
  const range = { table: 'meta', from: Buffer.from(bucketPrefix), to: Buffer.from('bucket0') } as const;
  core.index.each(range, (key, value) => {
    const bucketId = Buffer.from(key.subarray(bucketPrefix.length));
    const kept = JSON.parse(value.toString()) as Pick<BucketGuard, 'generation' | 'sealed'>;
    buckets.set(textOf(bucketId), { bucketId, ...kept });
    return true;
  });
  let stored: Promise<void> = Promise.resolve();
  const closedTo = (siteEpoch: number): FenceReason | undefined => {
    if (site.fenced) return 'fenced';
    if (siteEpoch < site.epoch) return 'old-epoch';
    if (!site.leased) return undefined;
    const held = lease !== undefined && lease.epoch >= site.epoch && core.env.clock.monotonicMs() < lease.endsAtMs;
    return held ? undefined : 'no-lease';
  };
  return {
    refuse(request) {
      if (!request.fromClient) return undefined;
      const why = closedTo(request.siteEpoch);
      if (why !== undefined) return { kind: 'fenced', siteEpoch: site.epoch, fenced: site.fenced, why };
      const guard = buckets.get(textOf(request.key.subarray(0, bucketIdBytes)));
      if (guard === undefined || (!guard.sealed && request.bucketGeneration >= guard.generation)) return undefined;
      return { kind: 'bucket-changed', generation: guard.generation, sealed: guard.sealed };
    },
    lease(now) {
      lease = now;
    },
    async site() {
      // What is answered must hold after a crash, too.
      await stored;
      return { ...site };
    },
    async setSite(state) {
      if (compareSiteStates(state, site) < 0) {
        await stored;
        return { ...site };
      }
      const value = Buffer.from(JSON.stringify(state));
      // In force before it is durable: a refusal too many costs nothing, a write too many does.
      site = { ...state };
      stored = core.writing(core.index.write([{ table: 'meta', key: siteKey, value }]));
      await stored;
      return { ...site };
    },
    async guardBucket(guard) {
      const id = textOf(guard.bucketId);
      const known = buckets.get(id);
      if (known !== undefined && guard.generation < known.generation) return { ...known };
      const { generation, sealed } = guard;
      const key = Buffer.concat([Buffer.from(bucketPrefix), guard.bucketId]);
      const value = Buffer.from(JSON.stringify({ generation, sealed }));
      buckets.set(id, { bucketId: Uint8Array.from(guard.bucketId), generation, sealed });
      await core.writing(core.index.write([{ table: 'meta', key, value }]));
      return { ...guard };
    },
  };
}
