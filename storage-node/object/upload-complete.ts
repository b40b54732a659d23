import { sameValue } from '../consensus/registers.ts';
import { StorageError } from '../errors.ts';
import { type Bucket, type Checksum, type CompleteInput, type CompleteResult, type Part } from './model.ts';
import { checkParts, multipartEtag } from './multipart-etag.ts';
import { makeVersion, type ObjectsDeps, stateOf, versionOfUpload } from './objects.ts';
import { partInfo } from './part-info.ts';
import { headOfVersions, type PartState } from './state-codec.ts';
import {
  type At,
  atOf,
  changeUpload,
  guardOf,
  housekeeping,
  idText,
  noSuchUpload,
  readParts,
  readUpload,
  settleCompleted,
} from './upload-registers.ts';
import { extraWith } from './tags.ts';
import { type CommitPlan, type CompletedUpload, type UploadState } from './upload-state.ts';
import { shownVersionId } from './versions.ts';

export interface CompleteDeps extends ObjectsDeps {
  /** Full-object checksum of parts in order, where it can be computed from theirs. */
  combineChecksums: (parts: readonly Part[], type: Checksum['type'] | undefined) => Checksum | undefined;
}

type Committing = Extract<UploadState, { kind: 'committing' | 'refusing' }>;

/**
 * Completes an upload: fixes the parts, makes the object, lets the parts' registers go, remembers the result. Whoever
 * finds it half-way goes on from there, so it may be asked for again after any failure, and by several at once.
 *
 * Two registers have a say in it, the upload's and the object's. That they never disagree follows from three rules:
 * the version is written only in a round in which the upload was seen to be `committing` by this very attempt; the
 * upload is taken back only after the object's key was written over at a higher ballot without such a version; and a
 * version of an upload leaves the object's key only after the upload is known to be completed.
 */
export async function completeUpload(
  deps: CompleteDeps,
  bucket: Bucket,
  input: CompleteInput,
): Promise<CompleteResult> {
  const at = atOf(deps, bucket, input.key, input.uploadId);
  for (let state = await readUpload(deps, at); ;) {
    if (state === undefined || state.kind === 'ending') throw noSuchUpload();
    if (state.kind === 'completed') return repeated(bucket, input, state.result);
    if (state.kind === 'open') state = await fix(deps, at, { state, input });
    else if (state.kind === 'refusing' || !isSame(state.plan, input)) state = await takeBack(deps, at, state);
    else state = await makeObject(deps, at, state);
  }
}

function repeated(bucket: Bucket, input: CompleteInput, result: CompletedUpload): CompleteResult {
  if (multipartEtag(input.parts.map(({ etag }) => etag)) !== result.etag) throw noSuchUpload();
  return { ...result, versionId: shownVersionId(bucket, result.versionId) };
}

/** Whether a plan is what a client asks for now, too: otherwise it asked for something else before. */
function isSame(plan: CommitPlan, input: CompleteInput): boolean {
  return (
    plan.etag === multipartEtag(input.parts.map(({ etag }) => etag)) &&
    plan.parts.every(({ number }, i) => number === input.parts[i]!.number) &&
    JSON.stringify(plan.conditions) === JSON.stringify(input.conditions)
  );
}

async function fix(
  deps: CompleteDeps,
  at: At,
  from: { state: UploadState; input: CompleteInput },
): Promise<UploadState | undefined> {
  const plan = planOf(deps, { ...from, parts: await readParts(deps, at) });
  return changeUpload(deps, { at, guard: guardOf(at.bucket) }, (now) =>
    now?.kind === 'open' ? { kind: 'committing', info: now.info, plan } : 'unchanged',
  );
}

function planOf(
  deps: CompleteDeps,
  from: { input: CompleteInput; state: UploadState; parts: ReadonlyMap<number, PartState> },
): CommitPlan {
  const { input, state, parts } = from;
  checkParts(input.parts, new Map([...parts].map(([number, part]) => [number, partInfo(part)])));
  const chosen = input.parts.map(({ number }) => parts.get(number)!.part);
  const checksum = deps.combineChecksums(chosen, state.info.checksumType);
  if (input.checksum !== undefined && checksum !== undefined && input.checksum.value !== checksum.value) {
    throw new StorageError('BadDigest', `the ${checksum.algorithm} you specified did not match what was received`);
  }
  return {
    attempt: Buffer.from(deps.env.randomBytes(8)).toString('hex'),
    parts: chosen.map(({ number, dataId }) => ({ number, dataId })),
    etag: multipartEtag(chosen.map(({ md5 }) => md5)),
    checksum,
    conditions: input.conditions,
  };
}

async function makeObject(deps: CompleteDeps, at: At, state: Committing): Promise<UploadState | undefined> {
  const { plan, info } = state;
  const parts = await plannedParts(deps, at, plan);
  const draft = {
    metadata: info.metadata,
    storageClass: info.storageClass,
    etag: plan.etag,
    checksum: plan.checksum,
    parts: (parts ?? []).filter(({ sizeBytes }) => sizeBytes > 0),
    multipart: true,
    ...(info.tags === undefined ? {} : { extra: extraWith({}, info.tags) }),
  };
  const allowed = async (): Promise<boolean> => {
    const now = await readUpload(deps, at);
    // Without all parts somebody else has made the object already, or the plan was taken back.
    return parts !== undefined && now?.kind === 'committing' && now.plan.attempt === plan.attempt;
  };
  const { name: bucket } = at.bucket;
  const commit = { bucket, key: at.name, draft, puts: () => [], conditions: plan.conditions };
  try {
    const made = await makeVersion(deps, at.bucket, { ...commit, once: { uploadId: at.uploadId, allowed } });
    // Parts that are gone without a version of theirs: the plan cannot be carried out, and the client must hear so.
    if (made === undefined && parts === undefined) return await takeBack(deps, at, state);
    if (made !== undefined) await settleCompleted(deps, at, made);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // Refused for good: the upload is open again for another try, as in S3. Unless somebody else has made the object.
    const after = await takeBack(deps, at, state);
    if (after?.kind !== 'completed') throw error;
    return after;
  }
  return readUpload(deps, at);
}

/** The parts of a plan; undefined when they are not all there any more. */
async function plannedParts(deps: CompleteDeps, at: At, plan: CommitPlan): Promise<Part[] | undefined> {
  const states = await readParts(deps, at);
  const chosen: Part[] = [];
  for (const { number, dataId } of plan.parts) {
    const state = states.get(number);
    const sent = state === undefined ? [] : [state.part, ...state.older];
    const part = sent.find((one) => idText(one.dataId) === idText(dataId));
    if (part === undefined) return undefined;
    chosen.push(part);
  }
  return chosen;
}

function isRefusal(error: unknown): boolean {
  return error instanceof StorageError && ['PreconditionFailed', 'NoSuchKey', 'TooManyVersions'].includes(error.code);
}

/**
 * Opens an upload again that somebody began to complete, or finds that it was completed. Writes the object's key over
 * as it is: whoever was about to make the version under a lower ballot cannot any more, and meets the new state next.
 */
export async function takeBack(deps: CompleteDeps, at: At, state: Committing): Promise<UploadState | undefined> {
  const { attempt } = state.plan;
  const isOurs = (now: UploadState | undefined, kind: Committing['kind']): now is Committing =>
    now?.kind === kind && now.plan.attempt === attempt;
  const target = { at, guard: housekeeping };
  const refusing = await changeUpload(deps, target, (now) =>
    isOurs(now, 'committing') ? { kind: 'refusing', info: now.info, plan: now.plan } : 'unchanged',
  );
  if (!isOurs(refusing, 'refusing')) return refusing;
  let made: ReturnType<typeof versionOfUpload>;
  await deps.registers.change(at.set, at.objectKey, housekeeping, (current) => {
    const versions = stateOf(current);
    made = versionOfUpload(versions, at.uploadId);
    if (made !== undefined) return 'unchanged';
    return sameValue(current, headOfVersions(versions.versions));
  });
  if (made !== undefined) {
    await settleCompleted(deps, at, made);
    return readUpload(deps, at);
  }
  return changeUpload(deps, target, (now) =>
    isOurs(now, 'refusing') ? { kind: 'open', info: now.info } : 'unchanged',
  );
}
