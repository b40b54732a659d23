import { type Clock } from '../ports.ts';
import { type DriveApi } from '../store/drive-api.ts';
import { type TakeTail } from './frame.ts';
import { type NodeName } from './handshake.ts';
import { type Security } from './identity.ts';

/** Answers a named call of another node. What it throws is the answer; a StorageError keeps its code. */
export type ControlHandler = (body: unknown, from: string) => unknown;

export interface RpcServerOptions {
  name: NodeName;
  security: Security;
  /** This node's drives by their number on the node. May be filled while the server runs. */
  drives: ReadonlyMap<number, DriveApi>;
  /** Handlers of named calls. May be filled while the server runs. */
  controls: ReadonlyMap<string, ControlHandler>;
  clock: Clock;
  /** Memory for arriving shard blocks, such as `kernels.arena.take`. */
  take: TakeTail;
  /** A peer that was turned away, or whose connection ended for what it sent. For the log. */
  refused?: (reason: string, from: string) => void;
  /** Calls of one connection that drives work on at the same time. */
  runningCallsMax?: number;
}
