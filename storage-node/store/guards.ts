import { type AcceptReply, type AcceptRequest, type BucketGuard, bucketIdBytes, type SiteState } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { textOf } from './bytes.ts';

const siteKey = Buffer.from('site');
const bucketPrefix = 'bucket/';

/** What a drive refuses clients for: the fence of the site, and buckets whose settings the writer did not know. */
export interface Guards {
  refuse(request: AcceptRequest): AcceptReply | undefined;
  site(): Promise<SiteState>;
  setSite(state: SiteState): Promise<SiteState>;
  guardBucket(guard: BucketGuard): Promise<BucketGuard>;
}

export function createGuards(core: DriveCore): Guards {
  const buckets = new Map<string, BucketGuard>();
  let site: SiteState = { epoch: 0, fenced: false };
  const known = core.index.get('meta', siteKey);
  if (known !== undefined) site = JSON.parse(known.toString()) as SiteState;
  const range = { table: 'meta', from: Buffer.from(bucketPrefix), to: Buffer.from('bucket0') } as const;
  core.index.each(range, (key, value) => {
    const bucketId = Buffer.from(key.subarray(bucketPrefix.length));
    const kept = JSON.parse(value.toString()) as Pick<BucketGuard, 'generation' | 'sealed'>;
    buckets.set(textOf(bucketId), { bucketId, ...kept });
    return true;
  });
  let stored: Promise<void> = Promise.resolve();
  return {
    refuse(request) {
      if (!request.fromClient) return undefined;
      if (site.fenced || request.siteEpoch < site.epoch) {
        return { kind: 'fenced', siteEpoch: site.epoch, fenced: site.fenced };
      }
      const guard = buckets.get(textOf(request.key.subarray(0, bucketIdBytes)));
      if (guard === undefined || (!guard.sealed && request.bucketGeneration >= guard.generation)) return undefined;
      return { kind: 'bucket-changed', generation: guard.generation, sealed: guard.sealed };
    },
    async site() {
      // What is answered must hold after a crash, too.
      await stored;
      return { ...site };
    },
    async setSite(state) {
      if (state.epoch < site.epoch) {
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
