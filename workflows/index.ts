/** Every workflow type there is, by the name an operator sees. */
export { backup } from './backup.ts';
export { drill } from './drill.ts';
export { failback } from './failback.ts';
export { failover } from './failover.ts';
export { mirrorVault } from './mirror-vault.ts';
export { recordProtectionLater } from './protection-run.ts';
export { prune } from './prune.ts';
export { recordLater } from './recorder.ts';
export { reprotect } from './reprotect.ts';
export { restore } from './restore.ts';
export { restoreTest } from './restore-test.ts';
export { scheduled } from './scheduled.ts';
export { scheduledDrill } from './scheduled-drill.ts';
export { selfCheck } from './self-check.ts';
export { settleSchedules } from './settle-schedules.ts';
export { verifyVault } from './verify-vault.ts';
