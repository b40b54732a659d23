import { createHash } from 'node:crypto';
import { combineChecksums, crcKinds } from '../../objects/checksum/values.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import {
  type ChecksumKind,
  type Checksums,
  type ObjectInfo,
  type PutResult,
  type UploadedPart,
  type WriteConditions,
} from '../../objects/types.ts';
import { type DonePart } from '../ledger/ledger.ts';
import { copied, prepare } from './delivery.ts';
import { headSource } from './head-source.ts';
import { callOf, lookAndChoose, type Landing } from './landing.ts';
import { type CopyOutcome } from './outcome.ts';
import { partRange, type PartPlan, planParts } from './part-plan.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { kindsToCompute, proveCopy, proveRead } from './proof.ts';
import { bodyFor, type HashedRead, readHashed, unwrapped } from './read-hashed.ts';
import { createRunningDigest, type DigestKind, type RunningDigest } from './running-digest.ts';
import { fromSource, fromTarget, SourceChanged, TargetChanged } from './side-errors.ts';
import { giveUp, idOf, isThatPart, openUpload, type OpenUpload } from './upload.ts';

const mostTries = 3;

interface Parts {
  setup: CopySetup;
  task: CopyTask;
  info: ObjectInfo;
  plan: PartPlan;
  upload: OpenUpload;
  kinds: ChecksumKind[];
  /** Where the source is known by a digest only: parts go in order, for it sees them all. */
  running: RunningDigest | undefined;
}

/**
 * A large object goes in parts, several at once. What has arrived is in the ledger, so that after a kill no part is sent
 * twice and no upload is left behind; without a ledger a failure gives the upload up.
 */
export async function copyInParts(setup: CopySetup, task: CopyTask, conditions: WriteConditions): Promise<CopyOutcome> {
  const info = await fromSource(headSource(setup, task));
  const plan = planParts(info.sizeBytes, setup.target.client.supports, setup.rule.partBytes);
  if (plan === undefined) {
    const message = `${info.sizeBytes} bytes are more than ${setup.target.client.name} holds in one object`;
    return { kind: 'failed', code: 'OBJECT_STORE_REFUSED', message };
  }
  const delivery = await prepare(setup, task, info, true);
  const upload = await openUpload(setup, task, { plan, info, delivery });
  for (const { sizeBytes } of upload.done.values()) setup.arrived?.(task.key, sizeBytes, 'before');
  try {
    const kinds = kindsToCompute(info.checksums, setup.target.client.supports.wholeChecksum, isCombinable);
    const running = digestFor(info.checksums, kinds);
    const parts: Parts = { setup, task, info, plan, upload, kinds, running };
    await sendParts(parts);
    const own = { ...combineChecksums(partsInOrder(parts)), ...running?.digest() };
    proveRead(task.key, info.checksums, own);
    const landed = await complete(parts, { own, conditions });
    if ('kind' in landed) return await leave(setup, task, upload, landed);
    await setup.ledger?.dropUpload(idOf(task));
    const proof = proveCopy(task.key, { source: info.checksums, own, target: landed.checksums });
    return copied({ task, info, delivery, put: landed, own, proof });
  } catch (err) {
    await afterFailure(setup, task, { upload, err });
    throw err;
  }
}

const isCombinable = (kind: ChecksumKind): boolean => kind in crcKinds;

function digestFor(source: Checksums, kinds: readonly ChecksumKind[]): RunningDigest | undefined {
  if (kinds.some((kind) => source[kind] !== undefined)) return undefined;
  const known = (['sha256', 'sha1', 'md5'] as const).find((kind: DigestKind) => source[kind] !== undefined);
  return known === undefined ? undefined : createRunningDigest(known, createHash);
}

function partsInOrder({ plan, upload }: Parts): (DonePart & { checksums: Checksums })[] {
  return Array.from({ length: plan.parts }, (_, i) => {
    const part = upload.done.get(i + 1)!;
    return { ...part, checksums: part.own };
  });
}

async function sendParts(parts: Parts): Promise<void> {
  const { setup, plan, running } = parts;
  const numbers = Array.from({ length: plan.parts }, (_, i) => i + 1);
  if (running !== undefined) {
    for (const number of numbers) await setup.parts(plan.partSizeBytes, () => bringPart(parts, number));
    return;
  }
  const stop = new AbortController();
  const ends = await Promise.allSettled(
    numbers
      .filter((number) => !parts.upload.done.has(number))
      .map((number) =>
        setup.parts(plan.partSizeBytes, async () => {
          stop.signal.throwIfAborted();
          await bringPart(parts, number).catch((err: unknown) => {
            stop.abort(err);
            throw err;
          });
        }),
      ),
  );
  // All have ended, so that nothing is sent any more when the upload is given up.
  if (ends.some(({ status }) => status === 'rejected')) throw stop.signal.reason;
}

/** Sees to it that a part is at the target. One that is there already is read for its checksum at most, never sent. */
async function bringPart(parts: Parts, partNumber: number): Promise<void> {
  const { setup, task, plan, upload, running } = parts;
  const range = partRange(plan, partNumber);
  const sizeBytes = range.last - range.first + 1;
  const found = upload.found.get(partNumber);
  const kinds = found === undefined ? parts.kinds : [...parts.kinds, 'md5' as const];
  const watch = running === undefined ? {} : { watch: () => running.part(partNumber) };
  const read = readHashed(setup, task, { kinds, range, ...watch });
  if (upload.done.has(partNumber)) {
    if (running !== undefined) await readThrough(read);
    return;
  }
  if (found !== undefined) {
    await readThrough(read);
    const { md5: _, ...own } = read.own();
    if (isThatPart(found, read.own(), sizeBytes)) return keep(parts, { ...found, own });
  }
  await keep(parts, { ...(await sendPart(parts, { partNumber, sizeBytes, read })), own: read.own() });
}

/** A part that arrived damaged is sent anew by itself: the others stay. */
async function sendPart(
  { setup, upload }: Parts,
  { partNumber, sizeBytes, read }: { partNumber: number; sizeBytes: number; read: HashedRead },
): Promise<UploadedPart> {
  for (let tries = 1; ; tries++) {
    try {
      const { open, checksums } = await bodyFor(setup, read);
      return await fromTarget(
        setup.target.client.uploadPart(
          { ...upload.ref, partNumber },
          { sizeBytes, open },
          { checksums },
          callOf(setup),
        ),
      );
    } catch (err) {
      if (tries === mostTries || !(err instanceof MusterError) || err.code !== 'CHECKSUM_MISMATCH') throw err;
    }
  }
}

async function keep({ setup, task, upload }: Parts, part: DonePart): Promise<void> {
  const { partNumber, etag, sizeBytes, checksums, own } = part;
  upload.done.set(partNumber, { partNumber, etag, sizeBytes, checksums, own });
  await setup.ledger?.savePart(idOf(task), { partNumber, etag, sizeBytes, checksums, own });
  setup.arrived?.(task.key, sizeBytes, 'now');
}

async function readThrough(read: HashedRead): Promise<void> {
  for await (const chunk of unwrapped(read)) void chunk;
}

/** The target was looked at long ago: it is looked at again where the store cannot hold the condition. */
async function complete(
  parts: Parts,
  { own, conditions }: { own: Checksums; conditions: WriteConditions },
): Promise<PutResult | Exclude<Landing, { kind: 'land' }>> {
  const { setup, task, upload } = parts;
  const { client } = setup.target;
  let held = conditions;
  if (!client.supports.completeConditions && task.follows !== true) {
    const landing = await lookAndChoose(setup, task);
    if (landing.kind !== 'land') return landing;
    held = {};
  }
  const all = partsInOrder(parts).map(({ partNumber, etag, sizeBytes }) => ({
    ...{ partNumber, etag, sizeBytes },
    checksums: upload.done.get(partNumber)!.checksums,
  }));
  const crcs = Object.fromEntries(Object.entries(own).filter(([kind]) => isCombinable(kind as ChecksumKind)));
  return fromTarget(client.completeUpload(upload.ref, all, { checksums: crcs, ...held }, callOf(setup)));
}

async function leave(
  setup: CopySetup,
  task: CopyTask,
  upload: OpenUpload,
  landing: Exclude<Landing, { kind: 'land' }>,
): Promise<CopyOutcome> {
  await abort(setup, task, upload);
  return landing.kind === 'same' ? { ...landing, sourceEtag: task.etag } : landing;
}

/** Keeps what a later try can go on from, and nothing else. */
async function afterFailure(
  setup: CopySetup,
  task: CopyTask,
  { upload, err }: { upload: OpenUpload; err: unknown },
): Promise<void> {
  const useless = err instanceof SourceChanged || err instanceof TargetChanged;
  const wrong = err instanceof MusterError && err.code === 'CHECKSUM_MISMATCH';
  if (setup.ledger !== undefined && !useless && !wrong) return;
  await abort(setup, task, upload).catch(() => {
    // What failed first is what has to be told; a ledger tries again.
  });
}

async function abort(setup: CopySetup, task: CopyTask, upload: OpenUpload): Promise<void> {
  await giveUp(setup, {
    ...{ key: task.key, version: task.versionId ?? '', uploadId: upload.ref.uploadId },
    ...{ begunAtMs: 0, sourceEtag: '', sizeBytes: 0, partSizeBytes: 0 },
  });
}
