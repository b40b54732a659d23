/** The orders a person gives a running run: approve, pause, resume, skip, retry, go-ungraceful, abort. */
import { answerRun, orderRun, type OrderName } from '../worker/run-follow.ts';
import type { RunView } from '../workflows/io.ts';
import type { Body } from './command.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { createLiveView } from './live-view.ts';
import { sayJson } from './output.ts';

interface OrderOptions {
  by: string;
  why: string;
  step?: string;
  json?: boolean;
}

/** `muster approve` */
export async function approve(
  context: Context,
  options: OrderOptions & { decline?: boolean },
  name?: string,
): Promise<ExitCode> {
  const service = context.service(name).name;
  const answer = options.decline === true ? 'decline' : 'approve';
  return show(await answerRun(await context.temporal(), service, { answer, ...orderOf(options) }), options);
}

/** `muster pause`, `muster resume` and so on. */
export function give(order: OrderName): Body<OrderOptions> {
  return async (context, options, name) => {
    const service = context.service(name).name;
    return show(await orderRun(await context.temporal(), service, order, orderOf(options)), options);
  };
}

function orderOf({ by, why, step }: OrderOptions): { by: string; why: string; stepId?: string } {
  return { by, why, ...(step !== undefined && { stepId: step }) };
}

function show(view: RunView, options: OrderOptions): ExitCode {
  if (options.json === true) sayJson(view);
  else createLiveView(false).show(view);
  return view.asks.length > 0 || view.status === 'paused' ? exitCodes.needsPerson : exitCodes.met;
}
