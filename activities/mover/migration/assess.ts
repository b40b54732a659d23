import { readPages } from '../compare/pages.ts';
import { type Figure } from '../ledger/figures.ts';
import { planParts } from '../copy/part-plan.ts';
import { fullKey, type Side } from '../side.ts';
import { isSampled } from '../run/work.ts';

/** What is to be moved, and what will not come along. */
export interface Assessment {
  objects: number;
  sizeBytes: number;
  largestBytes: number;
  byStorageClass: Record<string, { objects: number; sizeBytes: number }>;
  /** Objects that the target cannot hold at all, with the first few names. */
  impossible: { why: string; objects: number; examples: string[] }[];
  /** Properties that the target has no place for, by what a sample of the objects has. */
  notCarried: { what: string; ofSampled: number }[];
  sampled: number;
  buckets: { versioning: { source: string; target: string }; warnings: string[] };
  /** Milliseconds at the rates given. */
  durationMs: Figure;
}

export interface AssessInput {
  source: Side;
  target: Side;
  /** Share of the objects whose properties are looked at, 0 to 1. */
  sampleShare: number;
  /** Measured before; undefined leaves the duration unknown. */
  rate?: { objectsPerSecond: number; bytesPerSecond: number };
  signal?: AbortSignal;
}

const mostExamples = 5;
const archiveClass = /GLACIER|ARCHIVE/i;
/** Source: OSS, object naming: 1 to 1,023 bytes, no leading slash or backslash. */
const ossNameRefused = (key: string): boolean => /^[/\\]/.test(key) || Buffer.byteLength(key) > 1_023;

/** Lists the source once and looks at a sample of it. Changes nothing. */
export async function assess(input: AssessInput): Promise<Assessment> {
  const { source, target, signal } = input;
  const found: Assessment = {
    ...{ objects: 0, sizeBytes: 0, largestBytes: 0, byStorageClass: {}, impossible: [], notCarried: [], sampled: 0 },
    buckets: await bucketsOf(source, target),
    durationMs: { value: null, confidence: 'unknown', why: 'no rate was measured yet' },
  };
  const pages = readPages({ side: source, after: '', versions: false, ...(signal === undefined ? {} : { signal }) });
  for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
    for (const entry of page) {
      count(found, entry);
      const why = whyImpossible(target, fullKey(target, entry.key), entry);
      if (why !== undefined) name(found, why, entry.key);
      if (isSampled(entry.key, input.sampleShare)) await look(found, input, entry.key);
    }
  }
  if (input.rate !== undefined) found.durationMs = durationOf(found, input.rate);
  return found;
}

function count(found: Assessment, entry: { sizeBytes: number; storageClass: string }): void {
  found.objects += 1;
  found.sizeBytes += entry.sizeBytes;
  found.largestBytes = Math.max(found.largestBytes, entry.sizeBytes);
  const tally = (found.byStorageClass[entry.storageClass] ??= { objects: 0, sizeBytes: 0 });
  tally.objects += 1;
  tally.sizeBytes += entry.sizeBytes;
}

function whyImpossible(
  { client }: Side,
  key: string,
  { sizeBytes, storageClass }: { sizeBytes: number; storageClass: string },
): string | undefined {
  if (archiveClass.test(storageClass)) return 'archived: has to be restored first';
  if (client.dialect === 'oss' && ossNameRefused(key)) return 'a name that OSS does not take';
  if (Buffer.byteLength(key) > 1_024) return 'a name longer than 1,024 bytes';
  return planParts(sizeBytes, client.supports) === undefined ? 'larger than the target holds in one object' : undefined;
}

function name(found: Assessment, why: string, key: string): void {
  let group = found.impossible.find((one) => one.why === why);
  if (group === undefined) found.impossible.push((group = { why, objects: 0, examples: [] }));
  group.objects += 1;
  if (group.examples.length < mostExamples) group.examples.push(key);
}

async function look(found: Assessment, { source, target }: AssessInput, key: string): Promise<void> {
  const info = await source.client.head(fullKey(source, key)).catch(() => undefined);
  if (info === undefined) return;
  found.sampled += 1;
  const lacks: string[] = [];
  if (info.retention !== undefined && !target.client.supports.objectLock) lacks.push('retention');
  if (info.legalHold === true && !target.client.supports.objectLock) lacks.push('legal hold');
  for (const what of lacks) {
    const known = found.notCarried.find((one) => one.what === what);
    if (known === undefined) found.notCarried.push({ what, ofSampled: 1 });
    else known.ofSampled += 1;
  }
}

async function bucketsOf(source: Side, target: Side): Promise<Assessment['buckets']> {
  const state = (side: Side): Promise<string> => side.client.getVersioning().catch(() => 'unknown');
  const versioning = { source: await state(source), target: await state(target) };
  const warnings: string[] = [];
  if (versioning.source === 'enabled' && versioning.target !== 'enabled')
    warnings.push('older versions stay behind: the target keeps none');
  warnings.push('policies, lifecycle rules, CORS, notifications and access lists of the bucket are not carried');
  return { versioning, warnings };
}

function durationOf(
  { objects, sizeBytes }: Assessment,
  { objectsPerSecond, bytesPerSecond }: { objectsPerSecond: number; bytesPerSecond: number },
): Figure {
  const seconds = Math.max(objects / objectsPerSecond, sizeBytes / bytesPerSecond);
  return { value: Math.round(seconds * 1_000), confidence: 'estimated' };
}
