/** Bounds of a connection. */

/** Bytes of one stage that may be under way: sent, and not yet taken by the drive. */
export const stageWindowBytes = 4 * 1024 * 1024;

/** Calls of one connection that drives work on at the same time; more of them wait. */
export const runningCallsMax = 512;
/** Calls of one connection that wait; more of them are answered `Busy`. */
export const waitingCallsMax = 32 * 1024;
/** While calls hold more bytes than this, or answers wait to leave, nothing more is read from the connection. */
export const heldBytesMax = 64 * 1024 * 1024;

/** Connections a node takes at all. */
export const connectionsMax = 1024;
/** How long a connected peer may take to say who it is, milliseconds. */
export const helloTimeoutMs = 5_000;
/** After so long without a byte from a peer its connection is given up, milliseconds. */
export const silentPeerMs = 30_000;
