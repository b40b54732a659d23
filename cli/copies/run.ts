import os from 'node:os';
import { copyOrderOf } from '../../runbooks/copies-orders.ts';
import { beatOf, readCopy, startCopy } from '../../worker/copies.ts';
import { followProtection } from '../../worker/protection-start.ts';
import type { CopyMode, CopyResult } from '../../workflows/engine/copying.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { note, say, sayJson } from '../output.ts';
import { copyNow, exitOf, progressText, sayResult } from './words.ts';

interface Flags {
  by?: string;
  detach?: boolean;
  json?: boolean;
}

/** `muster copies start` */
export function runCopy(context: Context, flags: Flags, name = ''): Promise<ExitCode> {
  return conduct(context, flags, name, 'do');
}

/** `muster copies plan` */
export function planCopy(context: Context, flags: Flags, name = ''): Promise<ExitCode> {
  return conduct(context, flags, name, 'plan');
}

/** `muster copies compare` */
export function compareCopy(context: Context, flags: Flags, name = ''): Promise<ExitCode> {
  return conduct(context, flags, name, 'compare');
}

async function conduct(context: Context, flags: Flags, name: string, mode: CopyMode): Promise<ExitCode> {
  const startedBy = flags.by ?? os.userInfo().username;
  const order = copyOrderOf(context.estate(), name, { mode, startedBy });
  const client = await context.temporal();
  const started = await startCopy(client, order);
  if (flags.detach === true) {
    if (flags.json === true) sayJson({ workflowId: started.workflowId, runId: started.runId });
    else say(`started ${started.workflowId}; \`muster copies status ${name}\` shows how far it is`);
    return exitCodes.met;
  }
  const live = flags.json !== true && process.stderr.isTTY;
  let told: string | null = null;
  const clear = (): void => void (live && process.stderr.write('\r\u001b[2K'));
  let result: CopyResult;
  try {
    result = await followProtection(client, started, (progress) => {
      const { lastFailure, attempt } = progress;
      if (lastFailure !== null && lastFailure !== told) {
        told = lastFailure;
        clear();
        note(`attempt ${attempt}, after: ${lastFailure}`);
      }
      if (!live) return;
      void readCopy(client, name, mode).then(
        (found) => {
          const now = found === null ? null : copyNow(found.view, beatOf(progress));
          if (now !== null) process.stderr.write(`\r\u001b[2K${progressText(now)}`);
        },
        () => undefined,
      );
    });
  } finally {
    clear();
  }
  if (flags.json === true) sayJson(result);
  else sayResult(result);
  return exitOf(result);
}
