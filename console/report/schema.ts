/** The report as published: `docs/report.schema.json` is generated from here and kept equal by a test. */
import { z } from 'zod';
import { clockNames, runKinds } from '../../workflows/engine/plan.ts';

const atMs = z.number().describe('Unix milliseconds');
const seconds = z.number().min(0);
const confidence = z.enum(['measured', 'estimated', 'unknown']);
const objectiveVerdict = z.enum(['met', 'missed', 'unknown']);

const objective = z
  .strictObject({
    id: z.enum(['rto', 'rpo']),
    runId: z.string(),
    verdict: objectiveVerdict,
    targetSeconds: seconds,
    actualSeconds: seconds.nullable().describe('null exactly when the verdict is unknown'),
    method: z.string().describe('how the figure was measured'),
    confidence,
    sentence: z.string(),
  })
  .meta({ id: 'objective' });

const span = z
  .strictObject({ seconds: seconds.nullable(), why: z.string().nullable().describe('why it is not known') })
  .meta({ id: 'span' });

const rto = z
  .strictObject({
    targetSeconds: seconds,
    business: span.describe('t7 - t0: from the fault until real clients were served'),
    declared: span.describe('t7 - t2: from the declaration'),
    technical: span.describe('t7 - t3: from the start of the run'),
    waitedForPeopleSeconds: seconds.describe('time the run waited for answers of people; part of the others'),
    basis: z.enum(['business', 'technical']).describe('which of them is judged'),
  })
  .meta({ id: 'rto' });

const rpo = z
  .strictObject({
    targetSeconds: seconds,
    seconds: seconds.nullable().describe('the worst of the resources; null when one of them is unknown'),
    why: z.string().nullable().describe('why it is not known'),
    resources: z.array(
      z.strictObject({
        resource: z.string(),
        seconds: seconds.nullable().describe('the larger of its methods'),
        confidence,
        methods: z.array(z.strictObject({ method: z.string(), seconds: seconds.nullable(), confidence })),
      }),
    ),
    unmeasured: z
      .array(z.string())
      .describe(
        'resources that the estate says are copied nowhere: their data stayed where it was, outside the objective',
      ),
  })
  .meta({ id: 'rpo' });

const clock = z
  .strictObject({
    id: z.string().regex(/^t([0-9]|10)$/),
    name: z.enum(clockNames),
    atMs: atMs.nullable(),
    sinceFirstMs: z.number().nullable().describe('since the earliest clock'),
    sincePreviousMs: z.number().nullable().describe('since the one before it in time'),
  })
  .meta({ id: 'clock' });

const decision = z.strictObject({ by: z.string(), why: z.string(), atMs, what: z.string() }).meta({ id: 'decision' });
const failure = z.strictObject({ code: z.string(), message: z.string() });

const step = z
  .strictObject({
    id: z.string(),
    verb: z.string(),
    resource: z.string(),
    site: z.string().nullable().describe('null: the control plane'),
    effect: z.enum(['read', 'change', 'irreversible']),
    status: z.string(),
    attempts: z.int().min(0),
    startedAtMs: atMs.nullable(),
    endedAtMs: atMs.nullable(),
    durationMs: z.number().nullable(),
    asking: z.array(z.strictObject({ fromMs: atMs, toMs: atMs })).describe('when it waited for a person'),
    clock: z.enum(clockNames).nullable(),
    evidence: z.array(z.strictObject({ name: z.string(), value: z.string() })),
    note: z.string().nullable(),
    failure: failure.nullable(),
    decisions: z.array(decision).describe('who approved, declined, skipped or retried it, and why'),
  })
  .meta({ id: 'step' });

const finding = z
  .strictObject({
    severity: z.enum(['note', 'warning', 'critical']),
    what: z.string(),
    stepId: z.string().nullable(),
    atMs,
  })
  .meta({ id: 'finding' });

const chain = z
  .strictObject({
    ok: z.boolean(),
    sealed: z.boolean().describe('the run has ended and its final state is covered'),
    events: z.int().min(0),
    head: z.string().nullable().describe('SHA-256 that stands for the whole run; null when the chain is broken'),
    firstBadSeq: z.int().nullable(),
    why: z.string().nullable(),
  })
  .meta({ id: 'chain' });

const run = z
  .strictObject({
    runId: z.string(),
    kind: z.enum(runKinds),
    drill: z.boolean(),
    from: z.string(),
    to: z.string(),
    plannedMode: z.enum(['graceful', 'ungraceful']),
    mode: z.enum(['graceful', 'ungraceful']).describe('as it ended'),
    epoch: z.int(),
    outcome: z
      .enum(['protected', 'unprotected', 'completed', 'aborted', 'failed'])
      .nullable()
      .describe('null: not ended'),
    reason: z.string().nullable(),
    startedAtMs: atMs,
    endedAtMs: atMs.nullable(),
    planHash: z.string(),
    estateHash: z.string(),
    software: z.string(),
    clocks: z.array(clock),
    rto: rto.nullable().describe('null: a run of this kind has no RTO'),
    rpo: rpo.nullable().describe('null: a run of this kind has no RPO'),
    writeGap: z
      .strictObject({ lastAckBeforeMs: atMs, firstAckAfterMs: atMs.nullable(), seconds: seconds.nullable() })
      .nullable(),
    figures: z.array(
      z.strictObject({
        name: z.string(),
        resource: z.string(),
        value: z.number().nullable(),
        unit: z.string(),
        method: z.string(),
        confidence,
      }),
    ),
    steps: z.array(step),
    orders: z.array(decision).describe('what people ordered for the run as a whole'),
    findings: z.array(finding),
    chain,
  })
  .meta({ id: 'run' });

const lostRow = z
  .strictObject({ table: z.string(), key: z.string(), atMs: atMs.nullable(), site: z.string().nullable() })
  .meta({ id: 'lostRow' });

const loss = z
  .strictObject({
    conflictSets: z.array(
      z.strictObject({
        runId: z.string(),
        resource: z.string(),
        of: z.enum(['rows', 'objects']),
        file: z.string().nullable(),
        sha256: z.string().nullable(),
        rows: z.array(lostRow),
      }),
    ),
    listedRows: z.int().min(0).nullable().describe('rows that only the old primary had; null: not exported'),
    countedRows: z.int().min(0).nullable().describe('lost rows as the clients counted them; null: no truth to hand'),
    acknowledgedRows: z.int().min(0).nullable(),
    notListed: z.array(lostRow).describe('counted as lost and in no conflict set: must be empty'),
    afterPromotion: z
      .strictObject({ method: z.enum(['clients', 'conflict-set']), rows: z.array(lostRow) })
      .nullable()
      .describe('acknowledged by the old primary after the new one was promoted; null: not known'),
    objects: z
      .array(
        z.strictObject({
          resource: z.string(),
          namedAtFreeze: z
            .int()
            .min(0)
            .nullable()
            .describe('objects that the ledger knew to be lost when it was frozen'),
          unseenAtFreeze: z
            .boolean()
            .nullable()
            .describe('the old site may have had writes that nobody had seen; null: nothing was frozen'),
          keys: z.array(z.string()).describe('every key that is known to be lost, or to differ'),
          listed: z
            .int()
            .min(0)
            .nullable()
            .describe('objects that the returned site was found to have alone, or otherwise; null: it is not back'),
          counted: z
            .int()
            .min(0)
            .nullable()
            .describe('lost objects as the clients counted them; null: no truth to hand'),
          confirmed: z.int().min(0).nullable(),
          countedSeconds: seconds
            .nullable()
            .describe(
              'from the oldest lost object that was confirmed to the moment the site was struck; null: not counted',
            ),
          notListed: z.array(lostRow).describe('counted as lost and not among the keys: must be empty'),
        }),
      )
      .describe('by replicated bucket'),
  })
  .meta({ id: 'loss' });

const clients = z
  .strictObject({
    sites: z.array(z.string()),
    binSeconds: z.int().min(1),
    bins: z.array(z.strictObject({ atMs, acked: z.record(z.string(), z.int().min(0)), failed: z.int().min(0) })),
    acked: z.int().min(0),
    failed: z.int().min(0),
  })
  .meta({ id: 'clients' });

export const reportSchema = z
  .strictObject({
    schemaVersion: z.literal('1.0'),
    generatedAtMs: atMs,
    software: z.string(),
    verdict: z
      .enum(['passed', 'failed', 'unproven', 'running'])
      .describe('passed: every objective met, every chain whole and, where it is known, the truth agrees'),
    headline: z.string(),
    service: z.string(),
    scenario: z.string().nullable(),
    kind: z.enum([...runKinds, 'game-day']),
    from: z.string(),
    to: z.string(),
    startedAtMs: atMs,
    endedAtMs: atMs.nullable(),
    protection: z
      .enum(['protected', 'unprotected', 'unknown'])
      .describe('whether replication runs again with its lag inside the objective, as the last run left it'),
    objectives: z.array(objective),
    truth: z
      .strictObject({
        agrees: z.boolean(),
        checks: z.array(z.strictObject({ id: z.string(), agrees: z.boolean(), sentence: z.string() })),
      })
      .nullable()
      .describe('figures held against what the clients counted; null outside the sandbox'),
    runs: z.array(run),
    loss,
    clients: clients.nullable(),
    epochs: z.array(
      z.strictObject({ epoch: z.int(), holder: z.string(), runId: z.string().nullable(), takenAtMs: atMs }),
    ),
    level: z
      .strictObject({
        claimed: z.string(),
        edition: z.string(),
        name: z.string().nullable().describe('null: the table has no such level'),
        exampleRto: z.string().nullable(),
        exampleRpo: z.string().nullable(),
        standing: z.string(),
        sentence: z.string(),
      })
      .nullable()
      .describe('level that the estate claims, beside what was measured; no level is proven by one run'),
  })
  .meta({
    title: 'Muster report',
    description: 'What a run, or the runs of a game day, cost. Times are Unix milliseconds.',
  });

/** The JSON Schema (2020-12) of a report. */
export function reportJsonSchema(): unknown {
  return z.toJSONSchema(reportSchema);
}
