import { MusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { ConfirmOutcome, PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { orderEntry, readEntry, type EntryView } from './admin-client.ts';

/** An order to the entry, and how to tell from its state that it is in force. */
export interface Order {
  path: '/admin/route' | '/admin/mode';
  body: (input: VerbInput) => object;
  /** What is still missing, or null when the order is in force. */
  missing: (view: EntryView, input: VerbInput) => string | null;
}

/** Gives the order, then reads the entry back: its answer alone proves nothing. */
export async function performOrder(order: Order, input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const outcome = await orderEntry(input, context, order.path, order.body(input));
  if (outcome.kind === 'unknown') return { status: 'unknown', why: outcome.why };
  return confirmOrder(order, input, context);
}

/** Throws EPOCH_STALE when a newer run has the entry by now: this one will never be in force. */
export async function confirmOrder(order: Order, input: VerbInput, context: VerbContext): Promise<ConfirmOutcome> {
  let view;
  try {
    view = await readEntry(input, context);
  } catch (err) {
    if (err instanceof MusterError && err.code === 'PROXY_UNREACHABLE') return { status: 'unknown', why: err.message };
    throw err;
  }
  refuseNewer(view, input);
  const missing = order.missing(view, input);
  if (missing !== null) return { status: 'not-yet', why: missing };
  return { status: 'done', evidence: evidenceOf(view), measurements: [] };
}

/** Throws EPOCH_STALE when the entry has taken orders of a newer epoch than this run's. */
export function refuseNewer(view: EntryView, input: VerbInput): void {
  if (view.epoch <= input.plan.epoch) return;
  const message = `${input.resource.name}: the entry is at epoch ${view.epoch}, this run at ${input.plan.epoch}`;
  throw new MusterError('EPOCH_STALE', message);
}

/** The mode is in force, by order of this run's epoch. */
export function missingMode(view: EntryView, mode: EntryView['mode'], input: VerbInput): string | null {
  if (view.epoch < input.plan.epoch) return `the entry is at epoch ${view.epoch}, not yet at ${input.plan.epoch}`;
  return view.mode === mode ? null : `the entry is ${view.mode}, not ${mode}`;
}

/** What the entry said of itself, for the report. */
export function evidenceOf(view: EntryView): JsonObject {
  const { epoch, mode, route, held, inFlight } = view;
  const healthy = view.upstreams.filter((upstream) => upstream.healthy).map((upstream) => upstream.site);
  return { epoch, mode, route, held, inFlight, healthy };
}
