import { leaseMs, type Agent } from './agent.ts';
import type { Site } from './engine.ts';

/** What is added to the end of the last grant: clocks that drift, a commit on its way. As in the postgres driver's fence. */
const marginMs = 50 + leaseMs * 0.01;

/** A run that moves the writer, as the drivers do it. It survives the death of control by starting its phase again. */
export class Failover {
  ended = false;
  private readonly epoch: number;
  private readonly control: Agent;
  private readonly from: Site;
  private readonly to: Site;
  private readonly log: (line: string) => void;

  constructor(options: { control: Agent; from: Site; to: Site; epoch: number; log(line: string): void }) {
    this.control = options.control;
    this.from = options.from;
    this.to = options.to;
    this.epoch = options.epoch;
    this.log = options.log;
  }

  /** From the top, also after a restart: every step may be repeated. */
  start(): void {
    if (this.ended || !this.control.process.alive) return;
    const { granter } = this.control;
    if (granter.epoch >= this.epoch) return this.promote();
    const through = this.epoch - 1;
    const own = this.control.stopGranting(through).remainingMs;
    this.control.rpc(
      this.to,
      (peer) => peer.stopGranting(through),
      300,
      (answer) => {
        if (answer === null) return this.again(() => this.start());
        this.fence(Math.max(own, answer.remainingMs) + marginMs);
      },
    );
  }

  private fence(waitMs: number): void {
    const { life } = this.control.process;
    let fenced = false;
    const once = (how: string): void => {
      if (fenced) return;
      fenced = true;
      this.log(`fenced ${this.from}: ${how}`);
      this.name();
    };
    this.waitMonotonic(waitMs, () => once('waited out'));
    this.control.rpc<true>(
      this.from,
      (peer) => {
        peer.close(this.epoch - 1, this.control.engine.random.chance(0.3), () => {
          peer.engine.send(this.from, 'control', () => this.control.process.run(life, () => once('closed, read back')));
        });
        return null;
      },
      leaveOpenMs,
      () => {},
    );
  }

  private waitMonotonic(waitMs: number, then: () => void): void {
    const { engine } = this.control;
    const untilMs = engine.monotonicMs('control') + waitMs;
    const look = (): void => {
      if (engine.monotonicMs('control') >= untilMs) then();
      else this.control.later(20, look);
    };
    look();
  }

  private name(): void {
    this.control.putEpoch(this.epoch, this.to);
    this.control.rpc(
      this.from,
      (peer) => peer.putEpoch(this.epoch, this.to),
      300,
      () => {},
    );
    this.promote();
  }

  private promote(): void {
    this.control.rpc(
      this.to,
      (peer) => {
        peer.putEpoch(this.epoch, this.to);
        if (peer.database?.role === 'standby' && peer.database.running) {
          peer.database.role = 'primary';
          this.log(`promoted ${this.to} epoch ${this.epoch}`);
        }
        if (peer.lease !== null && peer.lease.epoch <= this.epoch) {
          peer.tell({ kind: 'open-ordered', epoch: this.epoch });
        }
        return peer.database?.role === 'primary' ? true : null;
      },
      300,
      (answer) => {
        if (answer === null) return this.again(() => this.promote());
        this.ended = true;
      },
    );
  }

  private again(step: () => void): void {
    this.control.later(200, step);
  }
}

const leaveOpenMs = 60_000;
