/**
 * The search for a linearization: an order of operations that keeps the order of any two that did not overlap, and in
 * which a plain sequential object would have given every answer that was given.
 *
 * Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with the memory of Lowe, "Testing for
 * linearizability" (2016): a set of operations done and the state they lead to are looked at once only.
 */

/** A sequential object. States are immutable. */
export interface Model<State, Op> {
  initial: State;
  /** The state after the operation; undefined when the operation could not have ended as it did. */
  step(state: State, operation: Op): State | undefined;
  /** Equal for equal states. */
  fingerprint(state: State): string;
}

/** When an operation ran. `mustHappen` false: it may also never have taken effect, and has no end. */
export interface Span<Op> {
  operation: Op;
  calledAt: number;
  returnedAt: number;
  mustHappen: boolean;
  /** Spans of one kin that need not happen do the same to the object, as far as anybody can tell. */
  kin?: string | undefined;
}

export type Verdict<Op> =
  | { kind: 'linearizable' }
  /** No order explains the answers. `explained`: the longest order that explains some, `stuckAt`: what it leaves over. */
  | { kind: 'violation'; explained: Op[]; stuckAt: Op[] }
  /** The budget was used up: neither is known. */
  | { kind: 'undecided'; steps: number };

/** A call or a return in the list of events in order of time. */
interface Node<Op> {
  index: number;
  span: Span<Op>;
  /** Of a call: its return. */
  end: Node<Op> | undefined;
  previous: Node<Op> | undefined;
  next: Node<Op> | undefined;
}

interface Taken<State, Op> {
  node: Node<Op>;
  before: State;
}

/** @param budget steps of the model at most */
export function findLinearization<State, Op>(
  model: Model<State, Op>,
  spans: readonly Span<Op>[],
  budget: number,
): Verdict<Op> {
  const head = eventList(spans);
  const elders = eldersOf(spans);
  const done = new Uint8Array(spans.length);
  const seen = new Set<string>();
  const taken: Taken<State, Op>[] = [];
  let state = model.initial;
  let left = spans.filter(({ mustHappen }) => mustHappen).length;
  let longest: Op[] = [];
  let steps = 0;
  let node = head.next;
  while (left > 0) {
    if (node?.end !== undefined) {
      if (++steps > budget) return { kind: 'undecided', steps: budget };
      const after = model.step(state, node.span.operation);
      if (after !== undefined && isUseful(node, after) && isNew(node.index, after)) {
        taken.push({ node, before: state });
        done[node.index] = 1;
        state = after;
        if (node.span.mustHappen) left -= 1;
        if (taken.length > longest.length) longest = taken.map((one) => one.node.span.operation);
        lift(node);
        node = head.next;
      } else node = node.next;
      continue;
    }
    // A return of something not yet in the order: the last choice was wrong.
    const last = taken.pop();
    if (last === undefined) {
      const explained = new Set(longest);
      const stuckAt = spans.map(({ operation }) => operation).filter((operation) => !explained.has(operation));
      return { kind: 'violation', explained: longest, stuckAt };
    }
    state = last.before;
    done[last.node.index] = 0;
    if (last.node.span.mustHappen) left += 1;
    unlift(last.node);
    node = last.node.next;
  }
  return { kind: 'linearizable' };

  /**
   * What may as well not have happened is of use only where it changes something; and of those that are alike the one
   * that was called first will do as well as any other.
   */
  function isUseful({ index, span }: Node<Op>, after: State): boolean {
    if (span.mustHappen) return true;
    const elder = elders[index];
    if (elder !== undefined && done[elder] === 0) return false;
    return model.fingerprint(after) !== model.fingerprint(state);
  }

  function isNew(index: number, after: State): boolean {
    done[index] = 1;
    const mark = `${Buffer.from(done).toString('latin1')}${model.fingerprint(after)}`;
    done[index] = 0;
    if (seen.has(mark)) return false;
    seen.add(mark);
    return true;
  }
}

/** For each span the one of its kin that was called last before it. */
function eldersOf<Op>(spans: readonly Span<Op>[]): (number | undefined)[] {
  const elders: (number | undefined)[] = spans.map(() => undefined);
  const youngest = new Map<string, number>();
  const byCall = [...spans.keys()].sort((a, b) => spans[a]!.calledAt - spans[b]!.calledAt);
  for (const index of byCall) {
    const { kin, mustHappen } = spans[index]!;
    if (kin === undefined || mustHappen) continue;
    elders[index] = youngest.get(kin);
    youngest.set(kin, index);
  }
  return elders;
}

/** Calls and returns by time; at one moment calls come first, so that what touches overlaps. */
function eventList<Op>(spans: readonly Span<Op>[]): Node<Op> {
  const events: { at: number; order: number; node: Node<Op> }[] = [];
  for (const [index, span] of spans.entries()) {
    const end: Node<Op> = { index, span, end: undefined, previous: undefined, next: undefined };
    const call: Node<Op> = { index, span, end, previous: undefined, next: undefined };
    events.push({ at: span.calledAt, order: 0, node: call });
    events.push({ at: span.mustHappen ? span.returnedAt : Number.POSITIVE_INFINITY, order: 1, node: end });
  }
  events.sort((a, b) => a.at - b.at || a.order - b.order || a.node.index - b.node.index);
  const head: Node<Op> = {
    index: -1,
    span: undefined as unknown as Span<Op>,
    end: undefined,
    previous: undefined,
    next: undefined,
  };
  let last = head;
  for (const { node } of events) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

function lift<Op>(call: Node<Op>): void {
  for (const node of [call, call.end!]) {
    node.previous!.next = node.next;
    if (node.next !== undefined) node.next.previous = node.previous;
  }
}

function unlift<Op>(call: Node<Op>): void {
  for (const node of [call.end!, call]) {
    node.previous!.next = node;
    if (node.next !== undefined) node.next.previous = node;
  }
}
