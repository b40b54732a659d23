import { readPages, type Entry } from '../compare/pages.ts';
import { carry, type CarryRule, classFor, type Extra, metadataBytes, usualCarryRule } from '../copy/carry.ts';
import { withoutMarks } from '../copy/marks.ts';
import { planParts } from '../copy/part-plan.ts';
import { type Figure } from '../ledger/figures.ts';
import { compileFilter, type Filter, type FilterRule } from '../run/filter.ts';
import { isSampled } from '../run/work.ts';
import { fullKey, type Side } from '../side.ts';

/** What is to be moved, and what will not come along. */
export interface Assessment {
  objects: number;
  sizeBytes: number;
  largestBytes: number;
  /** Of each class; `becomes` null: the target has no like, and does what it does by default. */
  byStorageClass: Record<string, { objects: number; sizeBytes: number; becomes: string | null }>;
  /** What a copy of the newest versions leaves behind; undefined where the source never kept any. */
  olderVersions?: { versions: number; sizeBytes: number; deleteMarkers: number };
  /** Objects that the target cannot hold at all, with the first few names. */
  impossible: { why: string; objects: number; examples: string[] }[];
  /** Properties that the target has no place for, by what a sample of the objects has. */
  notCarried: { what: string; ofSampled: number }[];
  /** Objects whose properties were looked at, and how many of them have what. */
  sampled: number;
  sampledWith: { tags: number; metadata: number; retention: number };
  buckets: { versioning: { source: string; target: string }; warnings: string[] };
  /** Milliseconds at the rates given. */
  durationMs: Figure;
}

export interface AssessInput {
  source: Side;
  target: Side;
  /** Share of the objects whose properties are looked at, 0 to 1. */
  sampleShare: number;
  /** Measured before, or given; undefined leaves the duration unknown. */
  rate?: { objectsPerSecond: number; bytesPerSecond: number };
  filter?: FilterRule;
  carry?: CarryRule;
  /** All versions shall be moved: the older ones count as objects. */
  versions?: boolean;
  signal?: AbortSignal;
}

const mostExamples = 5;
/** A small share of a small bucket is often nothing, of which nothing can be said. */
const fewestLooked = 20;
const archiveClass = /GLACIER|ARCHIVE/i;
/** Looks at objects at once. */
const wide = 16;
/** Source: OSS, object naming: 1 to 1,023 bytes, no leading slash or backslash. */
const ossNameRefused = (key: string): boolean => /^[/\\]/.test(key) || Buffer.byteLength(key) > 1_023;

/** Lists the source once and looks at a sample of it. Changes nothing. */
export async function assess(input: AssessInput): Promise<Assessment> {
  const { source, target, signal } = input;
  const buckets = await bucketsOf(input);
  const found: Assessment = {
    ...{ objects: 0, sizeBytes: 0, largestBytes: 0, byStorageClass: {}, impossible: [], notCarried: [], sampled: 0 },
    ...{ sampledWith: { tags: 0, metadata: 0, retention: 0 }, buckets },
    durationMs: { value: null, confidence: 'unknown', why: 'no rate was measured or given yet' },
  };
  const refused: ReadonlySet<Extra> = new Set<Extra>((await keepsTags(target)) ? [] : ['tags']);
  const filter = compileFilter(input.filter ?? {}, Date.now());
  const versions = buckets.versioning.source === 'enabled' || buckets.versioning.source === 'suspended';
  const pages = readPages({ side: source, after: '', versions, ...(signal === undefined ? {} : { signal }) });
  for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
    const objects = page.filter((entry) => isObject(found, entry, { filter, all: input.versions === true }));
    for (const entry of objects) count(found, entry, input);
    const first = input.sampleShare > 0 ? fewestLooked - found.sampled : 0;
    const sample = objects.filter(({ key }, i) => i < first || isSampled(key, input.sampleShare));
    for (let at = 0; at < sample.length; at += wide)
      await Promise.all(sample.slice(at, at + wide).map(({ key }) => look(found, { input, refused }, key)));
  }
  if (input.rate !== undefined) found.durationMs = durationOf(found, input.rate);
  return found;
}

/** Counts older versions aside; a key whose newest is a delete marker is no object. */
function isObject(found: Assessment, entry: Entry, { filter, all }: { filter: Filter; all: boolean }): boolean {
  if (!filter.named(entry.key)) return false;
  const { versions } = entry;
  const isDeleted = versions?.at(-1)?.deleteMarker === true;
  if (versions !== undefined) {
    const older = (found.olderVersions ??= { versions: 0, sizeBytes: 0, deleteMarkers: 0 });
    for (const { deleteMarker, sizeBytes } of isDeleted ? versions : versions.slice(0, -1)) {
      if (deleteMarker) older.deleteMarkers += 1;
      else older.versions += 1;
      older.sizeBytes += sizeBytes;
      if (all) found.sizeBytes += sizeBytes;
      if (all) found.objects += 1;
    }
  }
  return !isDeleted && filter.sized(entry);
}

function count(found: Assessment, entry: Entry, { source, target, carry: rule = usualCarryRule }: AssessInput): void {
  const { sizeBytes, storageClass, key } = entry;
  found.objects += 1;
  found.sizeBytes += sizeBytes;
  found.largestBytes = Math.max(found.largestBytes, sizeBytes);
  const tally = (found.byStorageClass[storageClass] ??= {
    ...{ objects: 0, sizeBytes: 0 },
    becomes: becomes(storageClass, rule, { from: source.client.dialect, to: target.client.dialect }),
  });
  tally.objects += 1;
  tally.sizeBytes += sizeBytes;
  const why = whyImpossible(target, fullKey(target, key), entry);
  if (why !== undefined) name(found, why, key);
}

function becomes(storageClass: string, rule: CarryRule, ends: { from: 's3' | 'oss'; to: 's3' | 'oss' }): string | null {
  const wanted = classFor(storageClass, { rule, ...ends });
  if (wanted.kind === 'class') return wanted.name;
  return wanted.kind === 'default' ? "the target's default" : null;
}

function whyImpossible({ client }: Side, key: string, { sizeBytes, storageClass }: Entry): string | undefined {
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

/** Asks the copier itself what it would leave behind of an object. */
async function look(
  found: Assessment,
  { input, refused }: { input: AssessInput; refused: ReadonlySet<Extra> },
  key: string,
): Promise<void> {
  const { source, target } = input;
  const info = await source.client.head(fullKey(source, key)).catch(() => undefined);
  if (info === undefined) return;
  const tags = info.tagCount === 0 ? {} : await source.client.getTags(fullKey(source, key)).catch(() => ({}));
  found.sampled += 1;
  const own = withoutMarks(info.metadata);
  if (Object.keys(tags).length > 0) found.sampledWith.tags += 1;
  if (Object.keys(own).length > 0) found.sampledWith.metadata += 1;
  if (info.retention !== undefined || info.legalHold === true) found.sampledWith.retention += 1;
  const { notCarried } = carry(
    { info, tags, dialect: source.client.dialect },
    { dialect: target.client.dialect, objectLock: target.client.supports.objectLock, refused },
    {
      rule: input.carry ?? usualCarryRule,
      marks: { sourceEtag: info.etag, sourceVersion: info.versionId ?? '', writtenAtMs: 0, epoch: 0, origin: '' },
    },
  );
  const ownBytes = Object.entries(own).reduce((sum, [one, value]) => sum + one.length + Buffer.byteLength(value), 0);
  const lacks = [...notCarried];
  if (ownBytes > metadataBytes[target.client.dialect]) lacks.push('metadata that is larger than the target takes');
  for (const what of lacks) {
    const known = found.notCarried.find((one) => one.what === what);
    if (known === undefined) found.notCarried.push({ what, ofSampled: 1 });
    else known.ofSampled += 1;
  }
}

/** Asked about an object that is not there: who keeps tags says so, who does not says that instead. */
async function keepsTags({ client, prefix }: Side): Promise<boolean> {
  try {
    await client.getTags(`${prefix}muster-is-not-there`);
    return true;
  } catch (err) {
    return (err as { serverCode?: unknown }).serverCode !== 'NotImplemented';
  }
}

async function bucketsOf({ source, target, versions }: AssessInput): Promise<Assessment['buckets']> {
  const state = (side: Side): Promise<string> => side.client.getVersioning().catch(() => 'unknown');
  const versioning = { source: await state(source), target: await state(target) };
  const warnings: string[] = [];
  if (versioning.source === 'enabled' && versions !== true)
    warnings.push('older versions stay behind: the newest alone are moved');
  else if (versioning.source === 'enabled' && versioning.target !== 'enabled')
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
