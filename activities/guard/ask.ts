import { askLease, type AgentAddress } from './client.ts';
import type { LeaseRequest } from './protocol.ts';
import { weigh, weightier, type Word } from './word.ts';

export interface Granters {
  /** In the order in which they are asked: the control plane, then the other site's agent. */
  addresses: readonly AgentAddress[];
  /** For one question to one granter. */
  limitMs: number;
}
export interface Said {
  word: Word;
  /** Name of the granter that said it; null when nobody said anything that decides. */
  by: string | null;
}

/**
 * Asks in turn until one decides; with `all` everybody at once, and the weightiest word counts. Never throws, and ends
 * within `limitMs` times the number of granters (`all`: within `limitMs`).
 */
export async function askGranters(granters: Granters, request: LeaseRequest, all: boolean): Promise<Said> {
  if (all) {
    const said = await Promise.all(granters.addresses.map((address) => askOne(address, granters.limitMs, request)));
    return said.reduce(decides, nobody);
  }
  let best: Said = nobody;
  for (const address of granters.addresses) {
    const said = await askOne(address, granters.limitMs, request);
    if (said.word.kind !== 'none') return said;
    best = decides(best, said);
  }
  return best;
}

const nobody: Said = { word: { kind: 'none', why: '' }, by: null };

function decides(a: Said, b: Said): Said {
  if (a.word.kind === 'none' && b.word.kind === 'none') {
    return { word: { kind: 'none', why: [a.word.why, b.word.why].filter(Boolean).join('; ') }, by: null };
  }
  return weightier(a.word, b.word) === a.word ? a : b;
}

async function askOne(address: AgentAddress, limitMs: number, request: LeaseRequest): Promise<Said> {
  try {
    const answer = await askLease(address, request, { timeoutMs: limitMs });
    return { word: weigh(request.site, request.epoch, answer), by: address.site };
  } catch (err) {
    return { word: { kind: 'none', why: err instanceof Error ? err.message : String(err) }, by: address.site };
  }
}
