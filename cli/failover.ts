import { driverCatalogue } from '../activities/drivers/catalogue.ts';
import { loadRunbook } from '../runbooks/runbook.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { runAndFollow, type RunOptions } from './run.ts';

interface FailoverOptions extends RunOptions {
  to?: string;
  planned?: boolean;
  runbook?: string;
  acceptDataLoss?: boolean;
}

/** `muster failover` */
export async function failover(context: Context, options: FailoverOptions, service?: string): Promise<ExitCode> {
  const { to, planned, runbook, acceptDataLoss, by } = options;
  return runAndFollow(context, options, service, {
    kind: 'failover',
    mode: planned === true ? 'graceful' : 'ungraceful',
    ...(to !== undefined && { to }),
    ...(runbook !== undefined && { runbook: loadRunbook(runbook, context.estate(), driverCatalogue) }),
    ...(acceptDataLoss === true && { acceptDataLossBy: by ?? process.env['USER'] ?? 'operator' }),
  });
}
