import { type Clock } from '../ports.ts';
import { type DriveHealth } from '../store/set.ts';

/** When a peer that should be talking has been silent for so long, it is suspect, milliseconds. */
export const defaultSilentMs = 400;
/** A drive that answered that it cannot serve is asked after others for so long, milliseconds. */
const driveDownMs = 1_000;

const hedgeFactor = 3;
const leastHedgeMs = 5;
const mostHedgeMs = 100;
/** Weight of the newest answer in the smoothed answer time. */
const smoothing = 0.1;
/** Assumed before the first answer. */
const firstLatencyMs = 2;

/** One connection's part in what is known of a peer. */
export interface LinkActivity {
  /** Something was asked that is not answered yet. */
  readonly waiting: boolean;
  /** When the waiting began. */
  readonly waitingSinceMs: number;
  /** When the last byte came. */
  readonly lastByteMs: number;
}

/** What is known of another node, over all connections to it. */
export interface PeerHealth {
  /** Dead, cut off, or silent though asked. */
  readonly suspect: boolean;
  /** Why it cannot be reached; undefined while it can, or was never tried. */
  readonly reason: string | undefined;
}

/** Whether a connection should be talking, and is not. */
export function isSilent(link: LinkActivity, nowMs: number, silentMs: number): boolean {
  return link.waiting && nowMs - Math.max(link.waitingSinceMs, link.lastByteMs) > silentMs;
}

/** What health asks of a peer's channels. Asked with every call, so it allocates nothing. */
export interface ChannelActivity {
  readonly downReason: string | undefined;
  /** One of its connections should be talking, and has not for so long. */
  isSilent(nowMs: number, silentMs: number): boolean;
}

export function createPeerHealth(deps: {
  clock: Pick<Clock, 'monotonicMs'>;
  calls: ChannelActivity;
  bulk: ChannelActivity;
  silentMs: number;
}): PeerHealth {
  const { clock, calls, bulk, silentMs } = deps;
  return {
    get suspect() {
      if (calls.downReason !== undefined || bulk.downReason !== undefined) return true;
      const nowMs = clock.monotonicMs();
      return calls.isSilent(nowMs, silentMs) || bulk.isSilent(nowMs, silentMs);
    },
    get reason() {
      return calls.downReason ?? bulk.downReason;
    },
  };
}

/** Milliseconds after which a read is also sent elsewhere: three times the usual answer time, 5 to 100. */
export function hedgeAfterMs(readLatencyMs: number): number {
  return Math.min(mostHedgeMs, Math.max(leastHedgeMs, hedgeFactor * readLatencyMs));
}

/** Health of one drive on another node: that of its node, and how the drive itself answers. */
export class RemoteDriveHealth implements DriveHealth {
  readonly #peer: PeerHealth;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #silentMs: number;
  #readLatencyMs = firstLatencyMs;
  #reads = 0;
  /** When the drive last answered a read, or was first asked after it had answered all. */
  #progressMs = 0;
  #downUntilMs = 0;

  constructor(peer: PeerHealth, clock: Pick<Clock, 'monotonicMs'>, silentMs: number = defaultSilentMs) {
    this.#peer = peer;
    this.#clock = clock;
    this.#silentMs = silentMs;
  }

  get suspect(): boolean {
    if (this.#peer.suspect) return true;
    const nowMs = this.#clock.monotonicMs();
    return nowMs < this.#downUntilMs || (this.#reads > 0 && nowMs - this.#progressMs > this.#silentMs);
  }
  get readLatencyMs(): number {
    return this.#readLatencyMs;
  }
  hedgeAfterMs(): number {
    return hedgeAfterMs(this.#readLatencyMs);
  }

  /** A read was sent. @returns when, for `readEnded`. */
  readStarted(): number {
    const nowMs = this.#clock.monotonicMs();
    if (this.#reads++ === 0) this.#progressMs = nowMs;
    return nowMs;
  }
  /** `gave-up`: the caller did not wait any longer, which says that an answer takes at least so long. */
  readEnded(startedMs: number, how: 'answered' | 'gave-up' | 'failed'): void {
    this.#reads--;
    if (how === 'failed') return;
    const nowMs = this.#clock.monotonicMs();
    const tookMs = nowMs - startedMs;
    if (how === 'answered') {
      this.#progressMs = nowMs;
      this.#downUntilMs = 0;
    } else if (tookMs < this.#readLatencyMs) return;
    this.#readLatencyMs += smoothing * (tookMs - this.#readLatencyMs);
  }
  /** The drive's node answered that the drive cannot serve. */
  unavailable(): void {
    this.#downUntilMs = this.#clock.monotonicMs() + driveDownMs;
  }
}
