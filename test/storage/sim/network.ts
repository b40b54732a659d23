import { type Machine } from './machine.ts';
import { type Random } from './random.ts';
import { type Scheduler } from './scheduler.ts';

/** Messages between machines. Each may be late, overtaken, lost or, where the sender allows it, come twice. */
export interface Network {
  /** Probability that a message is lost, and that it comes twice. */
  loss: number;
  duplication: number;
  /** Probability that a message takes up to `stragglerMs`, long after others that were sent later. */
  straggling: number;
  /** More loss for messages of one kind. */
  lossOf: Map<string, number>;
  /** Of a message that is not held up, milliseconds. */
  delayMs: { from: number; to: number };
  /** Stops messages in one direction. */
  cut(from: number, to: number): void;
  /** Slows one direction down by so many milliseconds more. */
  slow(from: number, to: number, byMs: number): void;
  /** Undoes all cuts, delays, losses and duplicates. */
  mend(): void;
  send(message: Message): void;
}

export interface Message {
  from: Machine;
  to: Machine;
  /** For the trace. */
  name: string;
  mayRepeat: boolean;
  /** Messages of one stream arrive in the order they were sent in, as over one connection. */
  stream?: Stream;
  deliver: () => void;
  /** Told when the sender's system could notice that the other side is not there. */
  refused?: () => void;
}

export interface Stream {
  /** When its last message arrives. */
  lastMs: number;
}

/** Between two messages of a stream, milliseconds. */
const paceMs = 0.01;
const stragglerMs = 5_000;
/** How soon a machine that is off is noticed, when its network still answers for it. */
const refusalMs = 1;

export function createNetwork(scheduler: Scheduler, random: Random): Network {
  const cuts = new Set<string>();
  const delays = new Map<string, number>();
  const link = (from: number, to: number): string => `${from}>${to}`;
  const network: Network = {
    loss: 0,
    duplication: 0,
    straggling: 0,
    lossOf: new Map(),
    delayMs: { from: 0.05, to: 2 },
    cut: (from, to) => cuts.add(link(from, to)),
    slow: (from, to, byMs) => delays.set(link(from, to), byMs),
    mend() {
      cuts.clear();
      delays.clear();
      network.loss = 0;
      network.duplication = 0;
      network.lossOf.clear();
    },
    send(message) {
      const { from, to, name } = message;
      const local = from === to;
      const pair = link(from.index, to.index);
      if (!local && (cuts.has(pair) || random.chance(Math.max(network.loss, network.lossOf.get(name) ?? 0)))) {
        scheduler.note(`${pair} ${name} lost`);
        return;
      }
      const times = !local && message.mayRepeat && random.chance(network.duplication) ? 2 : 1;
      for (let i = 0; i < times; i++) {
        const { from: least, to: most } = network.delayMs;
        const straggles = !local && random.chance(network.straggling);
        const usual = least + random.next() ** 3 * (most - least) * (i + 1);
        const spread = local ? 0.1 : straggles ? random.next() ** 2 * stragglerMs : usual;
        const delayMs = inOrder(message.stream, spread + (delays.get(pair) ?? 0));
        scheduler.after(delayMs, () => arrive(message, pair));
      }
    },
  };
  const inOrder = (stream: Stream | undefined, delayMs: number): number => {
    if (stream === undefined) return delayMs;
    stream.lastMs = Math.max(stream.lastMs + paceMs, scheduler.nowMs() + delayMs);
    return stream.lastMs - scheduler.nowMs();
  };
  const arrive = (message: Message, pair: string): void => {
    const { to, name } = message;
    if (to.life === undefined) {
      scheduler.note(`${pair} ${name} refused`);
      if (message.refused !== undefined) message.from.later(message.from.life ?? -1, refusalMs, message.refused);
      return;
    }
    scheduler.note(`${pair} ${name}`);
    to.take(message.deliver);
  };
  return network;
}
