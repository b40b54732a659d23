import path from 'node:path';
import { MusterError } from '../../../../workflows/engine/errors.ts';
import { findConflicts, type Conflict, type SideState } from '../../../mover/ledger/conflicts.ts';
import type { ReplicationLedger } from '../../../mover/ledger/ledger.ts';
import { compileFilter } from '../../../mover/run/filter.ts';
import { openBucketEnds, type BucketEnds } from './bucket-ends.ts';
import { filterOf } from './rule.ts';
import { shareLedgerWithin } from '../../../mover/ledger/shared-ledger.ts';
import { readTurn, type Turn } from './turn.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../../driver.ts';
import type { DriverServices } from '../../guarded/services.ts';
import { done, measure } from '../../guarded/verb.ts';
import { openEvidence } from './evidence.ts';
import { directoryOf, method, roles } from './look.ts';

const namedKeys = 100;
const ledgerWithinMs = 5_000;

/** What the last turn left, from the returning site's point of view. */
export interface Past extends AsyncDisposable {
  turn: Turn | undefined;
  /** The frozen ledger of the copies that the returning site sent; empty when there never was one. */
  ledger: ReplicationLedger;
  /** From the present writer to the returning site. */
  ends: BucketEnds;
}

/** Opens what a turn was, to compare both sites by. */
export async function openPast(input: VerbInput, services: DriverServices): Promise<Past> {
  const directory = directoryOf(input, services);
  const { writer, standby } = roles(input);
  const turn = readTurn(directory);
  const known = turn?.state === 'frozen' && turn.from === standby && turn.to === writer;
  const name = known ? turn.ledger : `none-e${input.plan.epoch}-${standby}`;
  const shared = await shareLedgerWithin(path.join(directory, name), ledgerWithinMs);
  const ends = openBucketEnds(input.resource, { from: writer, to: standby });
  return {
    ...{ turn: known ? turn : undefined, ledger: shared.ledger, ends },
    async [Symbol.asyncDispose]() {
      await ends[Symbol.asyncDispose]();
      await shared[Symbol.asyncDispose]();
    },
  };
}

/** Conflicts that somebody has to know of: what only the present writer changed is what the way home carries. */
export async function eachConflict(
  input: VerbInput,
  { ledger, ends }: Past,
  { signal, heartbeat }: VerbContext,
  tell: (conflict: Conflict) => Promise<void>,
): Promise<void> {
  const { named } = compileFilter(filterOf(input.resource), Date.now());
  await findConflicts({ ledger, old: ends.target, new: ends.source, signal }, async (conflict) => {
    heartbeat();
    if (conflict.kind !== 'new-only' && named(conflict.key)) await tell(conflict);
  });
}

/**
 * Compares the returning site's bucket with the present writer's, and writes what the former alone has, or has otherwise,
 * as JSON lines with both sides' versions. Changes nothing.
 */
export async function exportObjectConflicts(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  const { resource, runId } = input;
  const { writer } = roles(input);
  const present = readTurn(directoryOf(input, services));
  if (present?.state === 'active' && present.from === writer)
    return done({ settled: true, why: `${resource.name} is replicated from ${writer} already` });
  if (present?.state === 'active')
    throw new MusterError('LAG_UNKNOWN', `${resource.name} is still replicated from ${present.from}: nothing froze it`);
  await using past = await openPast(input, services);
  const file = await openEvidence(services.home(), `${runId}-${resource.name}-conflicts.jsonl`);
  const byKind: Record<Conflict['kind'], number> = { both: 0, 'old-only': 0, 'new-only': 0, unknown: 0 };
  const keys: string[] = [];
  await eachConflict(input, past, context, async (conflict) => {
    byKind[conflict.kind] += 1;
    if (keys.length < namedKeys) keys.push(conflict.key);
    await file.write(lineOf(resource.name, past.ends.to.bucket, conflict));
  });
  const written = await file.finish();
  const { both, 'old-only': oldOnly, unknown } = byKind;
  const objects = both + oldOnly + unknown;
  const evidence = { ...written, at: 'control', objects, byKind: { both, 'old-only': oldOnly, unknown }, keys };
  return done(evidence, [measure(input, 'conflictObjects', 'objects', { value: objects, method })]);
}

/** As the rows of a database's conflict set: the key, what each site has, and when the old one wrote it. */
function lineOf(resource: string, bucket: string, { key, kind, old, new: present, agreed }: Conflict): object {
  const when = old === undefined ? null : new Date(old.lastModifiedMs).toISOString();
  const row = { old: stateOf(old), new: stateOf(present), agreed: agreed ?? null };
  return { resource, table: bucket, key, row, when, kind };
}

function stateOf(state: SideState | undefined): object | null {
  return state === undefined ? null : { ...state };
}
