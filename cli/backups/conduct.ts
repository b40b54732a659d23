import {
  followProtection,
  startProtection,
  type ProtectionProgress,
  type ProtectionStart,
} from '../../worker/protection-start.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { note, say, sayJson, style } from '../output.ts';
import { formatBytes, formatClock, formatCount } from '../format.ts';
import type { BackupFlags } from './choose.ts';

/** Starts a workflow of protection, shows how far it is, and its answer. @param show prints the answer, gives the exit code */
export async function startAndFollow<Answer>(
  context: Context,
  flags: Pick<BackupFlags, 'detach' | 'json'>,
  start: ProtectionStart,
  show: (answer: Answer) => ExitCode,
): Promise<ExitCode> {
  const client = await context.temporal();
  const started = await startProtection<Answer>(client, start);
  if (flags.detach === true) {
    if (flags.json === true) sayJson({ workflowId: started.workflowId, runId: started.runId });
    else say(`started ${started.workflowId}; \`muster backups list\` shows how far it is`);
    return exitCodes.met;
  }
  const live = flags.json !== true && process.stderr.isTTY;
  const beganMs = Date.now();
  let told: string | null = null;
  try {
    const answer = await followProtection(client, started, (progress) => {
      if (live) process.stderr.write(`\r\u001b[2K${progressText(progress, Date.now() - beganMs)}`);
      else if (progress.lastFailure !== null && progress.lastFailure !== told) {
        told = progress.lastFailure;
        note(`attempt ${progress.attempt}, after: ${told}`);
      }
    });
    if (live) process.stderr.write('\r\u001b[2K');
    if (flags.json === true) sayJson(answer);
    return show(answer);
  } catch (err) {
    if (live) process.stderr.write('\r\u001b[2K');
    throw err;
  }
}

/** `saving  1.2 GiB of 4.0 GiB  3,021 files  ETA 0:42`. */
export function progressText({ detail, attempt, lastFailure }: ProtectionProgress, elapsedMs: number): string {
  const number = (name: string): number | null => (typeof detail[name] === 'number' ? detail[name] : null);
  const bytes = number('bytesDone') ?? number('bytes');
  const total = number('totalBytes') ?? number('ofBytes');
  const files = (number('filesNew') ?? 0) + (number('filesChanged') ?? 0) + (number('filesUnmodified') ?? 0);
  const share = bytes !== null && total !== null && total > 0 ? Math.min(1, bytes / total) : null;
  const parts = [
    typeof detail['phase'] === 'string' ? detail['phase'] : 'starting',
    bytes === null ? '' : `${formatBytes(bytes)}${total === null ? '' : ` of ${formatBytes(total)}`}`,
    files > 0 ? `${formatCount(files)} files` : '',
    number('done') !== null && number('of') !== null ? `${number('done')} of ${number('of')}` : '',
    share !== null && share > 0.02 ? `ETA ${formatClock((elapsedMs * (1 - share)) / share / 1_000)}` : '',
    attempt > 1 ? style.yellow(`attempt ${attempt}${lastFailure === null ? '' : `, after: ${lastFailure}`}`) : '',
  ];
  return parts.filter((part) => part !== '').join('  ');
}
