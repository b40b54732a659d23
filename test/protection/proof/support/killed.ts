/** A restore test as a process of its own, to be killed: `killed.ts ATTEMPT.json`, tells its phases line by line. */
import { readFileSync } from 'node:fs';
import type { RecoveryPoint, RestoreTestOrder } from '../../../../workflows/engine/protection.ts';
import { restoreTest } from '../../../../activities/protection/restore-test.ts';

const { order, point, runId, scratchDir } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as {
  order: RestoreTestOrder;
  point: RecoveryPoint;
  runId: string;
  scratchDir: string;
};
await restoreTest(
  order,
  { point, before: null },
  {
    signal: new AbortController().signal,
    heartbeat: (progress) => console.log((progress as { phase: string }).phase),
    log: () => undefined,
    before: undefined,
    ...{ runId, scratchDir, stateDir: scratchDir },
  },
);
