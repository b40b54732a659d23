import { type Env, type Timer } from '../ports.ts';
import { DriveUnavailable } from '../store/drive-api.ts';
import { Link, type LinkEvents, type LinkOptions } from './link.ts';
import { type ChannelActivity, isSilent } from './peer-health.ts';

/** How a peer's connections are kept, milliseconds. */
export interface ChannelTimes {
  /** From dialling to the peer's hello. */
  connectMs: number;
  /** Longest pause between attempts. */
  retryMs: number;
  /** Silence of a peer that should be talking, after which its connection is given up. */
  deadMs: number;
}

export const defaultTimes: ChannelTimes = { connectMs: 3_000, retryMs: 1_000, deadMs: 5_000 };

export interface ChannelOptions extends LinkOptions {
  env: Env;
  times: ChannelTimes;
  /** The peer is known to be away, by its other connection: nothing waits for a first attempt then. */
  knownDown: () => boolean;
}

/** Something that needs an open connection. */
export interface LinkUser {
  start(link: Link): void;
  onError(error: Error): void;
}

const tickMs = 250;
/** A tick that comes later than this says that this node did not listen for so long. */
const lateTickMs = 100;
/** Without calls, every so many ticks a ping. */
const idlePingTicks = 4;
const firstRetryMs = 20;

/**
 * One connection to a peer that is made when it is first needed and made again whenever it was lost. While it is
 * lost, what needs it fails at once; attempts go on behind.
 */
export class Channel implements ChannelActivity {
  readonly #options: ChannelOptions;
  #current: Link | undefined = undefined;
  #dialling: Link | undefined = undefined;
  readonly #retiring = new Set<Link>();
  /** Wait for the first connection. */
  #users: LinkUser[] = [];
  #timer: Timer | undefined = undefined;
  #tickTimer: Timer | undefined = undefined;
  #ticks = 0;
  #failures = 0;
  #downReason: string | undefined = undefined;
  #closed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** Why there is no connection; undefined while there is one, or nobody needed it yet. */
  get downReason(): string | undefined {
    return this.#downReason;
  }
  /** The connections there are: one, more while one takes another's place. */
  *links(): Iterable<Link> {
    if (this.#current !== undefined) yield this.#current;
    yield* this.#retiring;
  }
  isSilent(nowMs: number, silentMs: number): boolean {
    if (this.#current !== undefined && isSilent(this.#current, nowMs, silentMs)) return true;
    if (this.#retiring.size > 0) for (const link of this.#retiring) if (isSilent(link, nowMs, silentMs)) return true;
    return false;
  }
  get openLink(): Link | undefined {
    return this.#current;
  }

  /** Starts the user on the connection, now or as soon as the first one is made; or fails it. */
  use(user: LinkUser): void {
    if (this.#current !== undefined) return user.start(this.#current);
    if (this.#closed || this.#downReason !== undefined) return user.onError(this.#unavailable());
    this.#users.push(user);
    if (this.#dialling === undefined) this.#dial();
    if (this.#options.knownDown()) this.#failUsers();
  }

  /** Dials anew, for instance with another certificate, and lets the present connection finish what it has. */
  renew(): void {
    if (this.#current !== undefined && this.#dialling === undefined) this.#dial();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#tickTimer?.cancel();
    const cause = new Error('this node is stopping');
    for (const link of [...this.links()]) link.close(cause);
    this.#dialling?.close(cause);
    this.#failUsers();
  }

  #dial(): void {
    const { env, times } = this.#options;
    const opened = { value: false };
    const events: LinkEvents = {
      onOpen: () => {
        opened.value = true;
        timeout.cancel();
        this.#opened(link);
      },
      onGoodbye: () => this.#replaced(link, new Error('the node is stopping')),
      onClosed: (cause) => {
        timeout.cancel();
        if (opened.value) this.#lost(link, cause);
        else this.#notOpened(cause);
      },
    };
    let link: Link;
    const timeout = env.clock.setTimer(times.connectMs, () => {
      link.close(new Error(`no answer within ${times.connectMs} ms`));
    });
    try {
      link = new Link(this.#options, events);
      this.#dialling = link;
    } catch (cause) {
      timeout.cancel();
      this.#notOpened(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  #opened(link: Link): void {
    const before = this.#current;
    this.#dialling = undefined;
    this.#current = link;
    this.#failures = 0;
    this.#downReason = undefined;
    if (before !== undefined) this.#retire(before);
    if (this.#tickTimer === undefined) this.#scheduleTick();
    const users = this.#users;
    this.#users = [];
    for (const user of users) user.start(link);
  }

  #notOpened(cause: Error): void {
    this.#dialling = undefined;
    this.#failures++;
    if (this.#current === undefined) this.#down(cause);
    else this.#retryLater();
  }

  #lost(link: Link, cause: Error): void {
    this.#retiring.delete(link);
    if (this.#current !== link) return;
    this.#current = undefined;
    if (this.#dialling === undefined) this.#down(cause);
    else this.#downReason = cause.message;
  }

  #replaced(link: Link, cause: Error): void {
    if (this.#current !== link) return;
    this.#current = undefined;
    this.#retire(link);
    this.#failures++;
    this.#down(cause);
  }

  #retire(link: Link): void {
    this.#retiring.add(link);
    link.retire();
  }

  #down(cause: Error): void {
    this.#downReason = cause.message;
    this.#failUsers();
    if (!this.#closed) this.#retryLater();
  }

  #failUsers(): void {
    const users = this.#users;
    this.#users = [];
    for (const user of users) user.onError(this.#unavailable());
  }

  /** At once after a connection was lost, then at growing distances that differ between nodes. */
  #retryLater(): void {
    if (this.#closed) return;
    const { env, times } = this.#options;
    const widestMs = Math.min(times.retryMs, firstRetryMs * 2 ** Math.min(this.#failures, 16));
    const delayMs = this.#failures === 0 ? 0 : widestMs * (0.5 + env.randomBytes(1)[0]! / 512);
    this.#timer?.cancel();
    this.#timer = env.clock.setTimer(delayMs, () => {
      if (!this.#closed && this.#dialling === undefined) this.#dial();
    });
  }

  #scheduleTick(): void {
    const { clock } = this.#options.env;
    const dueMs = clock.monotonicMs() + tickMs;
    this.#tickTimer = clock.setTimer(tickMs, () => {
      const nowMs = clock.monotonicMs();
      const lateMs = nowMs - dueMs > lateTickMs ? nowMs - dueMs : 0;
      const ping = ++this.#ticks % idlePingTicks === 0;
      for (const link of [...this.links()]) link.tick(nowMs, { lateMs, ping, deadAfterMs: this.#options.times.deadMs });
      if (!this.#closed) this.#scheduleTick();
    });
  }

  #unavailable(): DriveUnavailable {
    const reason = this.#downReason ?? (this.#closed ? 'this node is stopping' : 'its other connection was lost');
    return new DriveUnavailable(`node ${this.#options.to.nodeId} cannot be reached: ${reason}`);
  }
}
