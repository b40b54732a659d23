import { mkdirSync } from 'node:fs';
import { replicateObjects } from '../../../activities/protection/replicate/replicate-objects.ts';
import type { ReplicationStatus } from '../../../workflows/engine/replication.ts';
import { protectionDir } from '../../../activities/drivers/bucket/replication/home.ts';
import type { Bucket, SiteName } from './bucket-pair.ts';

/** A replication as an activity of it runs. */
export interface Replicating extends AsyncDisposable {
  status(): ReplicationStatus | undefined;
  ended: Promise<ReplicationStatus>;
  stop(): Promise<void>;
}

export function startReplicating(
  { resource, home }: Pick<Bucket, 'resource' | 'home'>,
  from: SiteName = 'hangzhou',
): Replicating {
  const stateDir = protectionDir(home);
  mkdirSync(stateDir, { recursive: true });
  const stop = new AbortController();
  let status: ReplicationStatus | undefined;
  const to = from === 'hangzhou' ? 'beijing' : 'hangzhou';
  const ended = replicateObjects(
    { service: 'shop', resource, from, to, startedBy: 'test' },
    {
      ...{ signal: stop.signal, runId: 'run', before: undefined, scratchDir: stateDir, stateDir },
      heartbeat: (progress) => void (status = progress as ReplicationStatus),
      log: (message) => {
        if (process.env['TEST_LOG'] !== undefined) console.error(message);
      },
    },
  );
  ended.catch(() => undefined);
  const end = async (): Promise<void> => {
    stop.abort(new Error('test'));
    await ended.catch(() => undefined);
  };
  return { status: () => status, ended, stop: end, [Symbol.asyncDispose]: end };
}
