import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { buildReport } from '../../console/report/build.ts';
import { reportJsonSchema, reportSchema } from '../../console/report/schema.ts';
import { sampleInput } from './sample.ts';

const file = path.join(import.meta.dirname, '../../docs/report.schema.json');
if (process.env['UPDATE'] === '1') writeFileSync(file, `${JSON.stringify(reportJsonSchema(), null, 2)}\n`);
const published = JSON.parse(readFileSync(file, 'utf8')) as Parameters<typeof z.fromJSONSchema>[0];

const sample = sampleInput();
const inputs = [
  { name: 'a game day', input: sample },
  {
    name: 'a run still going',
    input: {
      ...sample,
      runs: sample.runs.slice(0, 1).map((run) => ({
        ...run,
        run: { ...run.run, final: null, sealHash: null, outcome: null, finishedAtMs: null },
        events: run.events.slice(0, 9),
      })),
    },
  },
  {
    name: 'a run outside the sandbox',
    input: {
      ...sample,
      clients: null,
      runs: sample.runs.slice(0, 1).map((run) => ({ ...run, truth: null, writeGap: null })),
    },
  },
  { name: 'nothing at all', input: { ...sample, runs: [], epochs: [], clients: null } },
];

test('the published schema is the one of this version (UPDATE=1 writes it anew)', () => {
  assert.deepEqual(published, JSON.parse(JSON.stringify(reportJsonSchema())));
});

for (const { name, input } of inputs) {
  test(`the report of ${name} follows the published schema, also when read from a file`, () => {
    const report: unknown = JSON.parse(JSON.stringify(buildReport(input)));
    reportSchema.parse(report);
    z.fromJSONSchema(published).parse(report);
  });
}

test('the published schema refuses what is no report', () => {
  const report = buildReport(sample);
  const schema = z.fromJSONSchema(published);
  assert.equal(schema.safeParse({ ...report, verdict: 'fine' }).success, false);
  assert.equal(schema.safeParse({ ...report, extra: 1 }).success, false);
  const { headline: _headline, ...headless } = report;
  assert.equal(schema.safeParse(headless).success, false);
});
