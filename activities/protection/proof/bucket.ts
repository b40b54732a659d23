import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { readContent } from '../../backup/engine/read-content.ts';
import { restore } from '../../backup/engine/restore.ts';
import { nodeAt, walkSnapshot, type SnapshotEntry } from '../../backup/engine/walk-snapshot.ts';
import type { TreeNode } from '../../backup/repository/tree.ts';
import { createHasher } from '../../objects/checksum/hasher.ts';
import { savedObject } from '../../backup/source/bucket.ts';
import { shown } from '../../backup/source/raw-path.ts';
import { failed, Faults, judged, named, passed, unknown } from './finding.ts';
import { judgeObject, wantedOf, type KnownOfObject, type ObjectVerdict } from './object-checksums.ts';
import { isDrawn } from './sample.ts';
import { secondsSince, type Proving, type Restored } from './trial.ts';

/** Reads of packs overlap; what is computed is done one by one all the same. */
const lanes = 4;

const nothingThere = 'there is no object: nothing was looked at';

/** What reading the objects back has shown. */
interface Reading {
  objects: number;
  read: number;
  bytes: number;
  /** What the repository does not give back. */
  damage: Faults;
  /** What it gives back otherwise than it was. */
  faults: Faults;
  metadata: Faults;
  /** How many objects were judged so. */
  verdicts: Record<ObjectVerdict, number>;
  /** Objects that are not what their store had a checksum of, and those whose ETag could be an MD5 and is not. */
  wrong: Faults;
  etagsWrong: Faults;
}

/**
 * Reads the objects of a bucket back out of the repository, all or a share of them, and compares them with what was
 * known of them when they were saved; lays them down as files where a scanner or a program is to see them.
 * @throws MusterError REPOSITORY_DAMAGED naming what cannot be read
 */
export async function proveBucket(proving: Proving): Promise<Restored> {
  const { stored, order, point, findings, figures } = proving;
  const bucket = bucketOf(proving);
  const top = bucket === null ? null : await nodeAt(stored.trees, stored.snapshot.tree, bucket);
  if (bucket === null || top?.subtree === undefined) {
    const about = { check: 'objects', subject: bucket ?? point.resource };
    const paths = stored.snapshot.paths.join(', ');
    const isEmpty = bucket !== null && point.facts['objects'] === 0;
    if (isEmpty) findings.push(unknown({ ...about, detail: nothingThere }));
    else findings.push(failed({ ...about, detail: `the snapshot is of ${paths} and does not hold the bucket` }));
    return null;
  }
  const startedAt = performance.now();
  const reading = await readAll(proving, top.subtree);
  findings.push(...findingsOf(proving, bucket, reading));
  const { damage } = reading;
  if (damage.count > 0) {
    throw new MusterError('REPOSITORY_DAMAGED', `${damage.count} objects cannot be read: ${damage.toString()}`);
  }
  figures.verifySeconds = secondsSince(startedAt);
  proving.restoredToMs = point.takenAtMs;
  const { scanner, http } = order.checks;
  return scanner !== undefined || http !== undefined ? layDown(proving, bucket) : null;
}

/** The bucket that the estate, the point and the snapshot agree on; null when they do not. */
function bucketOf({ order, point, stored }: Proving): string | null {
  const told = [order.resource.shared['bucket'], point.facts['bucket'], stored.snapshot.paths[0]?.slice(1)];
  const names = new Set(told.filter((name) => typeof name === 'string'));
  const [name] = names;
  return names.size === 1 && name !== undefined ? name : null;
}

async function readAll(proving: Proving, treeId: string): Promise<Reading> {
  const reading: Reading = {
    ...{
      objects: 0,
      read: 0,
      bytes: 0,
      damage: new Faults(),
      faults: new Faults(),
      metadata: new Faults(),
      verdicts: { right: 0, wrong: 0, 'etag-right': 0, 'etag-wrong': 0, 'nothing-known': 0 },
      wrong: new Faults(),
      etagsWrong: new Faults(),
    },
  };
  const entries = walkSnapshot(proving.stored.trees, treeId);
  const lane = async (): Promise<void> => {
    for (let next = await entries.next(); next.done !== true; next = await entries.next()) {
      proving.signal.throwIfAborted();
      await readEntry(proving, reading, next.value);
      const { objects, read, bytes } = reading;
      proving.context.heartbeat({ phase: 'reading', objects, read, bytes });
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return reading;
}

async function readEntry(proving: Proving, reading: Reading, entry: SnapshotEntry): Promise<void> {
  const path = shown(entry.path).slice(1);
  if (entry.kind === 'damaged') return reading.damage.add(`${path}: ${entry.why}`);
  if (entry.node.type !== 'file') return;
  reading.objects += 1;
  const known = checkMetadata(reading, path, entry.node);
  const { samplePercent = 100 } = proving.order.checks;
  // The first one always, so that a small share of few is never nothing.
  if (reading.objects > 1 && !isDrawn(samplePercent, proving.context.runId, path)) return;
  reading.read += 1;
  try {
    await readObject(proving, reading, { path, node: entry.node, known });
  } catch (err) {
    const { code, message } = toMusterError(err);
    if (code !== 'REPOSITORY_DAMAGED') throw err;
    reading.damage.add(message);
  }
}

/** @returns what was known of its bytes; null without an ETag, which no object that was saved from a bucket lacks */
function checkMetadata({ metadata }: Reading, path: string, node: TreeNode): KnownOfObject | null {
  const found = node.extendedAttributes?.find(({ name }) => name === 'user.muster.etag');
  if (found === undefined) {
    metadata.add(`${path}: what it was besides its bytes was not saved`);
    return null;
  }
  const etag = Buffer.from(found.value).toString();
  try {
    const { key, checksums } = savedObject(path, node);
    if (path.includes('%') && key === path) metadata.add(`${path}: its key was not saved`);
    return { etag, checksums };
  } catch (err) {
    metadata.add(`${path}: its metadata cannot be read (${toMusterError(err).message})`);
  }
  return { etag, checksums: null };
}

async function readObject(
  { stored, signal }: Proving,
  reading: Reading,
  { path, node, known }: { path: string; node: TreeNode; known: KnownOfObject | null },
): Promise<void> {
  const wanted = known === null ? null : wantedOf(known);
  const hasher = createHasher(wanted === null ? [] : [wanted.kind]);
  for await (const piece of readContent(stored, path, node)) {
    signal.throwIfAborted();
    hasher.update(piece);
  }
  const bytes = hasher.sizeBytes;
  reading.bytes += bytes;
  const size = Number(node.sizeBytes ?? 0);
  if (bytes !== size) reading.faults.add(`${path}: ${bytes} bytes were saved, it had ${size}`);
  if (known === null) return;
  const verdict = judgeObject(known, hasher.digest());
  reading.verdicts[verdict] += 1;
  if (verdict === 'wrong') reading.wrong.add(path);
  if (verdict === 'etag-wrong') reading.etagsWrong.add(path);
}

function findingsOf({ point }: Proving, bucket: string, reading: Reading): Proving['findings'] {
  const { objects, read, bytes, damage, faults, metadata } = reading;
  const recorded = point.facts['objects'];
  const about = { check: 'objects', subject: bucket };
  const findings: Proving['findings'] = [];
  if (typeof recorded === 'number' && recorded !== objects) {
    findings.push(failed({ ...about, detail: `${objects} objects are there, recorded are ${recorded}` }));
  }
  if (faults.count > 0) {
    findings.push(failed({ ...about, detail: `${faults.count} objects are not what was saved: ${faults.toString()}` }));
  } else if (objects === 0) {
    findings.push(unknown({ ...about, detail: nothingThere }));
  } else if (damage.count === 0) {
    findings.push(passed({ ...about, detail: `${read} of ${objects} read back, ${bytes} bytes as they were saved` }));
  }
  const detail = metadata.count === 0 ? `of ${objects} objects readable` : metadata.toString();
  findings.push(judged(metadata.count === 0, { check: 'metadata', subject: bucket, detail }));
  findings.push(...checksumFinding(bucket, reading), ...etagFinding(bucket, reading));
  return findings;
}

/** Against what the store itself had computed of the bytes, which holds whatever its ETags are. */
function checksumFinding(bucket: string, { verdicts, wrong }: Reading): Proving['findings'] {
  const about = { check: 'checksums', subject: bucket };
  if (wrong.count > 0) {
    const detail = `${wrong.count} are not what their store had a checksum of: ${wrong.toString()}`;
    return [failed({ ...about, detail })];
  }
  if (verdicts.right === 0) return [];
  const rest = verdicts['nothing-known'];
  const without = rest === 0 ? '' : `; of ${rest} none was known`;
  return [passed({ ...about, detail: `those of ${verdicts.right} objects are right${without}` })];
}

/**
 * For objects of which only an ETag is known. That of an object that was stored in one piece is its MD5, unless the store
 * encrypts with keys of its customer and does not say so: then no ETag of the bucket is, and nothing is known from them.
 */
function etagFinding(bucket: string, { verdicts, etagsWrong }: Reading): Proving['findings'] {
  const about = { check: 'etags', subject: bucket };
  const right = verdicts['etag-right'];
  const known = right + etagsWrong.count;
  if (known === 0) return [];
  if (right === 0 && known > 1) return [passed({ ...about, detail: 'the ETags of this bucket are no MD5s' })];
  if (etagsWrong.count === 0) return [passed({ ...about, detail: `the MD5s of ${right} objects are right` })];
  return [failed({ ...about, detail: `${etagsWrong.count} are not what was stored there: ${etagsWrong.toString()}` })];
}

async function layDown(proving: Proving, bucket: string): Promise<Restored> {
  const { stored, place, context, signal, findings, figures } = proving;
  const startedAt = performance.now();
  const { counts, problems } = await restore({
    ...{
      repository: stored.repository,
      snapshot: stored.snapshot,
      target: place.filesDir,
      subpath: `/${bucket}`,
      signal,
    },
    onProgress: ({ files, bytes }) => context.heartbeat({ phase: 'laying-down', files, bytes }),
  });
  proving.restoreSeconds = secondsSince(startedAt);
  Object.assign(figures, { restoredBytes: counts.bytes, layDownSeconds: proving.restoreSeconds });
  // Attributes are what objects keep their metadata in; as files they need none.
  const real = problems.filter(({ path }) => path !== '').map(({ path, why }) => `${path}: ${why}`);
  const detail = real.length === 0 ? `${counts.files} objects, ${counts.bytes} bytes` : named(real);
  findings.push(judged(real.length === 0, { check: 'restore', subject: bucket, detail }));
  return { url: `file://${place.filesDir}`, directory: place.filesDir };
}
