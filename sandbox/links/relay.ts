import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Pipe } from './pipe.ts';
import type { Fault, Wire } from './wire.ts';

export interface Endpoint {
  host: string;
  port: number;
}

interface Connection {
  inbound: Socket;
  outbound: Socket;
  pipes: [Pipe, Pipe];
}

/** One hop: listens at the near place and passes every connection on to the far one, as the two wires allow. */
export class Relay {
  readonly #target: Endpoint;
  readonly #forth: Wire;
  readonly #back: Wire;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  /** Connections accepted while the link was a black hole: they get through when it is cleared. */
  readonly #waiting = new Set<Socket>();

  constructor(target: Endpoint, forth: Wire, back: Wire) {
    this.#target = target;
    this.#forth = forth;
    this.#back = back;
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /** @returns where the relay listens; port 0 lets the system choose */
  async listen(at: Endpoint): Promise<Endpoint> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: at.host, port: at.port, backlog: 511 }, resolve);
    });
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  get connections(): number {
    return this.#connections.size + this.#waiting.size;
  }

  /** Applies the wires' present faults to the connections that live. */
  faultChanged(): void {
    const ending = this.#ending();
    if (ending !== null) this.endConnections(ending);
    else if (!this.#dark()) {
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const inbound of waiting) this.#accept(inbound);
    }
  }

  endConnections(how: 'cut' | 'reset'): void {
    for (const { inbound, outbound, pipes } of this.#connections) {
      for (const pipe of pipes) pipe.drop();
      end(inbound, how);
      end(outbound, how);
    }
    for (const inbound of this.#waiting) end(inbound, how);
    this.#connections.clear();
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.endConnections('cut');
    await closed;
  }

  #ending(): 'cut' | 'reset' | null {
    const kinds: Fault['kind'][] = [this.#forth.fault.kind, this.#back.fault.kind];
    if (kinds.includes('reset')) return 'reset';
    return kinds.includes('cut') ? 'cut' : null;
  }

  #dark(): boolean {
    return this.#forth.fault.kind === 'black-hole' || this.#back.fault.kind === 'black-hole';
  }

  #accept(inbound: Socket): void {
    const ending = this.#ending();
    inbound.on('error', ignore);
    if (ending !== null) end(inbound, ending);
    else if (this.#dark()) {
      this.#waiting.add(inbound);
      inbound.once('close', () => this.#waiting.delete(inbound));
    } else this.#passOn(inbound);
  }

  #passOn(inbound: Socket): void {
    const outbound = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    outbound.on('error', ignore);
    const pipes: [Pipe, Pipe] = [new Pipe(this.#forth, inbound, outbound), new Pipe(this.#back, outbound, inbound)];
    const connection: Connection = { inbound, outbound, pipes };
    this.#connections.add(connection);
    const forget = () => {
      if (inbound.destroyed && outbound.destroyed) this.#connections.delete(connection);
    };
    inbound.once('close', forget);
    outbound.once('close', forget);
    for (const pipe of pipes) pipe.pump();
  }
}

function end(socket: Socket, how: 'cut' | 'reset'): void {
  if (how === 'reset') socket.resetAndDestroy();
  else socket.destroy();
}

/** What goes wrong on one side reaches the other as the end of the stream; there is nobody else to tell. */
function ignore(): void {}
