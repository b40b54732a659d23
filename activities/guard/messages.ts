import { z } from 'zod';
import type {
  AgentState,
  CloseAnswer,
  CloseRequest,
  EpochRequest,
  ErrorBody,
  GranterState,
  LeaseAnswer,
  LeaseRequest,
  StopGrantingAnswer,
  StopGrantingRequest,
} from './protocol.ts';

/** The shapes of `protocol.ts`, checked where bytes come in: requests at the server, answers at the client. */
const name = z.string().min(1).max(100);
const epoch = z.number().int().min(0);
const milliseconds = z.number().min(0);

export const leaseRequest: z.ZodType<LeaseRequest> = z.object({ service: name, site: name, epoch });
export const stopGrantingRequest: z.ZodType<StopGrantingRequest> = z.object({
  service: name,
  throughEpoch: epoch,
  by: name,
});
export const epochRequest: z.ZodType<EpochRequest> = z.object({ service: name, epoch: epoch.min(1), holder: name });
export const closeRequest: z.ZodType<CloseRequest> = z.object({
  service: name,
  throughEpoch: epoch,
  stop: z.boolean(),
  resource: name.exactOptional(),
});

export const leaseAnswer: z.ZodType<LeaseAnswer> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('granted'), epoch, ttlMs: milliseconds }),
  z.object({
    kind: z.literal('refused'),
    epoch,
    holder: name.nullable(),
    why: z.enum(['other-holder', 'stale-epoch', 'stopped', 'unknown-service', 'own-site']),
  }),
]);
export const stopGrantingAnswer: z.ZodType<StopGrantingAnswer> = z.object({
  kind: z.literal('stopped'),
  throughEpoch: epoch,
  remainingMs: milliseconds,
});
const guardKind = z.enum(['open', 'closed', 'stopped', 'standby', 'down']);
export const closeAnswer: z.ZodType<CloseAnswer> = z.object({
  kind: z.literal('closed'),
  state: guardKind,
  finalLsn: z.string().nullable(),
});
export const granterState: z.ZodType<GranterState> = z.object({
  service: name,
  epoch,
  holder: name.nullable(),
  stoppedThrough: epoch,
  remainingMs: milliseconds,
});
const vantageView = z.object({
  from: name,
  service: name,
  site: name,
  up: z.boolean(),
  downForMs: milliseconds,
  failedForMs: milliseconds.exactOptional(),
  failures: z.number().int().min(0),
  why: z.string(),
});
const guardState = z.object({
  service: name,
  resource: name,
  epoch,
  state: guardKind,
  leaseRemainingMs: milliseconds,
  why: z.string(),
});
export const agentState: z.ZodType<AgentState> = z.object({
  site: name,
  granters: z.array(granterState),
  guards: z.array(guardState),
  vantage: z.array(vantageView),
});
export const errorBody: z.ZodType<ErrorBody> = z.object({ error: z.string(), code: z.string().exactOptional() });
