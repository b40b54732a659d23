import { MusterError } from '../workflows/engine/errors.ts';
import { Relay, type Endpoint } from './links/relay.ts';
import { Wire, type Fault } from './links/wire.ts';

export type { Endpoint } from './links/relay.ts';
export type { Fault } from './links/wire.ts';

/** A pair of wires between two places, e.g. `control-hangzhou`. Every hop laid over it shares its fault. */
export interface LinkDefinition {
  name: string;
  ends: [string, string];
}

/** One way over a link: what is said at `from` and heard at `to`. */
export interface Direction {
  from: string;
  to: string;
}

interface Link extends LinkDefinition {
  forth: Wire;
  back: Wire;
  relays: Relay[];
}

/** All links of a world: TCP relays with faults that also apply to the connections that already live. */
export class Links {
  readonly #links: Map<string, Link>;

  constructor(definitions: readonly LinkDefinition[]) {
    this.#links = new Map(definitions.map((d) => [d.name, { ...d, forth: new Wire(), back: new Wire(), relays: [] }]));
  }

  get names(): string[] {
    return [...this.#links.keys()];
  }

  /** Names of the links that end at a place. */
  at(place: string): string[] {
    return [...this.#links.values()].filter((link) => link.ends.includes(place)).map((link) => link.name);
  }

  /**
   * Opens a hop: connections to `listen` at `from` arrive at `target` at `to`.
   * @param hop `link` names the link to use; default: the first between the two places
   * @returns where it listens (port 0 lets the system choose)
   */
  async relay(hop: Direction & { link?: string; listen: Endpoint; target: Endpoint }): Promise<Endpoint> {
    const link = [...this.#links.values()].find(({ name, ends }) => {
      return ends.includes(hop.from) && ends.includes(hop.to) && name === (hop.link ?? name);
    });
    if (link === undefined) throw new MusterError('CONFIG_INVALID', `no link between ${hop.from} and ${hop.to}`);
    const [forth, back] = hop.from === link.ends[0] ? [link.forth, link.back] : [link.back, link.forth];
    const relay = new Relay(hop.target, forth, back);
    link.relays.push(relay);
    return relay.listen(hop.listen);
  }

  /** Puts a fault on a link, or on one direction of it; replaces the one before. Acts at once, before it returns. */
  set(name: string, fault: Fault, direction?: Direction): void {
    const link = this.#find(name);
    const forthOnly = direction !== undefined && direction.from === link.ends[0];
    const backOnly = direction !== undefined && direction.from === link.ends[1];
    if (direction !== undefined && !forthOnly && !backOnly) {
      throw new MusterError('CONFIG_INVALID', `${direction.from} is no end of the link ${name}`);
    }
    if (!backOnly) link.forth.set(fault);
    if (!forthOnly) link.back.set(fault);
    for (const relay of link.relays) relay.faultChanged();
  }

  clear(name: string): void {
    this.set(name, { kind: 'clear' });
  }

  /** Forgets what is under way and resets every connection, as the network answers for a host that has lost its memory. */
  resetConnections(name: string): void {
    for (const relay of this.#find(name).relays) relay.endConnections('reset');
  }

  state(name: string): { connections: number; directions: (Direction & { fault: Fault; bytes: number })[] } {
    const { ends, forth, back, relays } = this.#find(name);
    return {
      connections: relays.reduce((sum, relay) => sum + relay.connections, 0),
      directions: [
        { from: ends[0], to: ends[1], fault: forth.fault, bytes: forth.bytes },
        { from: ends[1], to: ends[0], fault: back.fault, bytes: back.bytes },
      ],
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].flatMap((link) => link.relays.map((relay) => relay.close())));
  }

  #find(name: string): Link {
    const link = this.#links.get(name);
    if (link === undefined) throw new MusterError('CONFIG_INVALID', `no link is called ${name}`);
    return link;
  }
}
