/** `hold`: new requests wait. `closed`: nothing gets through, and what is under way is broken off. */
export const entryModes = ['open', 'hold', 'closed'] as const;
export type EntryMode = (typeof entryModes)[number];

/** What the entry must remember over a restart. */
export interface RouteState {
  /** Highest epoch that gave an order; an order with a lower one is refused. */
  epoch: number;
  mode: EntryMode;
  /** The site that clients reach; null until one is named. */
  route: string | null;
  /** Epoch that named the route: it cannot name another. */
  routeEpoch: number;
  /** Unix milliseconds. */
  routedAtMs: number | null;
  /** Tokens of the newest routes, so that an order that arrives twice acts once. */
  tokens: string[];
}

export type Decision = { kind: 'apply'; next: RouteState } | { kind: 'repeat' } | { kind: 'refuse'; error: string };

const rememberedTokens = 16;

export function firstState(route: string | null): RouteState {
  return { epoch: 0, mode: 'open', route, routeEpoch: 0, routedAtMs: null, tokens: [] };
}

/** Names the one site that clients reach, and opens. */
export function decideRoute(
  state: RouteState,
  order: { epoch: number; site: string; token: string },
  nowMs: number,
): Decision {
  const stale = refuseStale(state, order.epoch);
  if (stale !== null) return stale;
  if (state.tokens.includes(order.token)) return { kind: 'repeat' };
  if (order.epoch === state.routeEpoch && order.site !== state.route) {
    return { kind: 'refuse', error: `epoch ${order.epoch} has already named ${state.route ?? 'nobody'}` };
  }
  const tokens = [...state.tokens, order.token].slice(-rememberedTokens);
  return {
    kind: 'apply',
    next: { epoch: order.epoch, mode: 'open', route: order.site, routeEpoch: order.epoch, routedAtMs: nowMs, tokens },
  };
}

export function decideMode(state: RouteState, order: { epoch: number; mode: EntryMode }): Decision {
  const stale = refuseStale(state, order.epoch);
  if (stale !== null) return stale;
  // A hold comes before the route of its run: one that arrives later was under way too long.
  if (order.mode === 'hold' && state.routedAtMs !== null && order.epoch === state.routeEpoch) {
    return { kind: 'refuse', error: `epoch ${order.epoch} has already named its route` };
  }
  if (order.mode === state.mode && order.epoch === state.epoch) return { kind: 'repeat' };
  return { kind: 'apply', next: { ...state, epoch: order.epoch, mode: order.mode } };
}

function refuseStale(state: RouteState, epoch: number): Decision | null {
  if (epoch >= state.epoch) return null;
  return { kind: 'refuse', error: `epoch ${epoch} is over: the entry is at ${state.epoch}` };
}
