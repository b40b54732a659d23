import { MusterError } from '../../../workflows/engine/errors.ts';
import { callOf, headOrNone, orNone } from '../copy/landing.ts';
import { readMarks } from '../copy/marks.ts';
import { type CopySetup } from '../copy/ports.ts';
import { type LedgerRow } from '../ledger/ledger.ts';
import { fullKey } from '../side.ts';
import { type Doomed } from './doomed.ts';
import { type ObjectEvent } from './pass.ts';
import { type Work } from './work.ts';

const batchKeys = 500;
/** Looks at both sides at once. */
const wide = 32;

/**
 * Deletes at the target what the source no longer has. Each key is looked at once more right before: it must still be
 * missing at the source, and at the target still be what was listed and what a mover wrote (with the policy `always`,
 * anybody).
 */
export async function deleteDoomed(work: Work, doomed: AsyncIterable<Doomed>): Promise<void> {
  let batch: Doomed[] = [];
  for await (const one of doomed) {
    batch.push(one);
    if (batch.length < batchKeys) continue;
    await deleteBatch(work, batch);
    batch = [];
  }
  if (batch.length > 0) await deleteBatch(work, batch);
}

type Kept = (ObjectEvent & { kind: 'kept-extra' })['why'];

async function deleteBatch(work: Work, batch: readonly Doomed[]): Promise<void> {
  const { setup, counts, tell } = work;
  const rows = (await setup.ledger?.lookUp(batch.map(({ key }) => ({ key, version: '' })))) ?? [];
  const verdicts = Array.from<Kept | 'delete'>({ length: batch.length });
  let next = 0;
  const looker = async (): Promise<void> => {
    for (let i = next++; i < batch.length; i = next++) verdicts[i] = await judge(setup, batch[i]!, rows[i]);
  };
  await Promise.all(Array.from({ length: wide }, looker));
  const chosen = batch.filter((_, i) => verdicts[i] === 'delete');
  batch.forEach((one, i) => {
    const why = verdicts[i]!;
    if (why === 'delete') return;
    counts.kept += 1;
    tell({ key: one.key, version: '', sizeBytes: one.sizeBytes, kind: 'kept-extra', why });
  });
  if (chosen.length > 0) await deleteChosen(work, chosen);
}

async function judge(setup: CopySetup, one: Doomed, row: LedgerRow | undefined): Promise<Kept | 'delete'> {
  const { source } = setup;
  const back = await orNone('OBJECT_UNKNOWN', source.client.head(fullKey(source, one.key), {}, callOf(setup)));
  if (back !== undefined) return 'back-at-source';
  const known = row !== undefined && row.targetEtag !== '' && row.targetEtag === one.etag;
  const there = await headOrNone(setup, one.key);
  if (there === undefined || there.etag !== one.etag) return 'no-longer-there';
  const marks = readMarks(there.metadata);
  if (marks !== undefined && marks.epoch > setup.rule.epoch) return 'foreign';
  return known || marks !== undefined || setup.rule.overwrite === 'always' ? 'delete' : 'foreign';
}

async function deleteChosen({ setup, counts, settler, tell, meter }: Work, chosen: readonly Doomed[]): Promise<void> {
  const { target } = setup;
  const outcomes = await target.client.deleteMany(
    chosen.map(({ key }) => ({ key: fullKey(target, key) })),
    callOf(setup),
  );
  const settling: Promise<void>[] = [];
  outcomes.forEach((outcome, i) => {
    const { key, sizeBytes } = chosen[i]!;
    if (outcome.kind === 'failed') {
      if (isCredentials(outcome.code))
        throw new MusterError('CREDENTIALS_REFUSED', `${target.client.name}: ${outcome.message}`);
      counts.failed += 1;
      tell({
        key,
        version: '',
        sizeBytes,
        kind: 'kept-extra',
        why: /lock|retention|worm|hold/i.test(outcome.code) ? 'locked' : 'refused',
      });
      return;
    }
    counts.deleted += 1;
    meter.add(1, 0);
    tell({ key, version: '', sizeBytes, kind: 'deleted' });
    settling.push(
      settler.settle({ key, version: '', op: 'delete', state: 'verified', sourceEtag: '', targetEtag: '' }),
    );
  });
  await Promise.all(settling);
}

function isCredentials(code: string): boolean {
  return code === 'ExpiredToken' || code === 'InvalidAccessKeyId';
}
