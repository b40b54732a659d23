/**
 * Waits for the supervisor to be gone, however it died, and ends what it left. Programs of ours end by themselves when
 * that happens (`die-with-parent.ts`); PostgreSQL, Temporal and paused processes do not.
 * Arguments: the records file, the supervisor's pid and its start time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { endRecorded } from './end.ts';
import { noRecords, readRecords, writeRecords } from './records.ts';

const [file = '', pid = '', startTime = ''] = process.argv.slice(2);
const graceMs = 2000;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
await new Promise((resolve) => process.stdin.once('close', resolve).resume());
await sleep(100);
const records = readRecords(file);
// By now another supervisor may have taken over; it has already ended what this one left.
if (records.supervisor?.pid === Number(pid) && records.supervisor.startTime === startTime) {
  await endRecorded(records, graceMs);
  writeRecords(file, noRecords);
}
