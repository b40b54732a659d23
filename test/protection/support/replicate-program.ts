/** A replication as a process of its own, to be killed: its order and the directory of its state, as JSON. */
import { replicateObjects } from '../../../activities/protection/replicate/replicate-objects.ts';
import type { ReplicateOrder } from '../../../workflows/engine/protection.ts';

const { order, stateDir } = JSON.parse(process.argv[2] ?? '') as { order: ReplicateOrder; stateDir: string };
await replicateObjects(order, {
  ...{ signal: new AbortController().signal, runId: 'run', before: undefined, scratchDir: stateDir, stateDir },
  heartbeat: () => {},
  log: () => {},
});
