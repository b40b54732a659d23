/** A backup as a process of its own, which may be another user: `save-program.ts ORDER.json`, tells the point it made. */
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { saveBackup } from '../../../activities/protection/backup.ts';
import type { BackupOrder } from '../../../workflows/engine/protection.ts';

const order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as BackupOrder;
const point = await saveBackup(order, {
  ...{ signal: new AbortController().signal, runId: 'by-somebody', before: undefined },
  ...{ scratchDir: tmpdir(), stateDir: tmpdir(), heartbeat: () => undefined, log: () => undefined },
});
console.log(JSON.stringify(point));
