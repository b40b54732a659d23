import { MusterError } from '../../../workflows/engine/errors.ts';
import { type Checksums, type ObjectInfo, type PutOptions, type PutResult } from '../../objects/types.ts';
import { fullKey } from '../side.ts';
import { carry, type Carried, type Extra } from './carry.ts';
import { callOf } from './landing.ts';
import { type CopyOutcome, type NotCarried } from './outcome.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { type Proof } from './proof.ts';
import { fromSource } from './side-errors.ts';

/** What goes along, and how to say it anew after the target refused some of it. */
export interface Delivery {
  carried: Carried;
  notCarried: NotCarried[];
  again(): void;
}

/** Tags are asked for where there are some, or where nobody said. */
export async function prepare(setup: CopySetup, task: CopyTask, info: ObjectInfo, askTags = false): Promise<Delivery> {
  const { source, target, rule } = setup;
  const wanted = rule.carry.tags && ((info.tagCount ?? 0) > 0 || (askTags && info.tagCount === undefined));
  const tags = wanted ? await fromSource(tagsOf(setup, task)) : undefined;
  const marks = {
    ...{ sourceEtag: info.etag, sourceVersion: info.versionId ?? task.versionId ?? '' },
    ...{ writtenAtMs: task.writtenAtMs, epoch: rule.epoch, origin: rule.origin },
  };
  const compose = (): { carried: Carried; notCarried: NotCarried[] } =>
    carry(
      { info, tags, dialect: source.client.dialect },
      { dialect: target.client.dialect, objectLock: target.client.supports.objectLock, refused: setup.refused },
      { rule: rule.carry, marks },
    );
  const delivery: Delivery = { ...compose(), again: () => void Object.assign(delivery, compose()) };
  return delivery;
}

async function tagsOf(setup: CopySetup, { key, versionId }: CopyTask): Promise<Record<string, string>> {
  const { source } = setup;
  const version = versionId === undefined ? {} : { versionId };
  try {
    return await source.client.getTags(fullKey(source, key), version, callOf(setup));
  } catch (err) {
    if (serverCodeOf(err) === 'NotImplemented') return {};
    throw err;
  }
}

/** The words of stores for what they do not take, and what is meant. */
const refusals: readonly { codes: readonly string[]; extras: readonly Extra[] }[] = [
  { codes: ['InvalidStorageClass', 'InvalidTargetType'], extras: ['storageClass'] },
  { codes: ['InvalidRequest', 'ObjectLockConfigurationNotFoundError'], extras: ['retention', 'legalHold'] },
  { codes: ['NotImplemented', 'InvalidArgument'], extras: ['storageClass', 'retention', 'legalHold', 'tags'] },
];

/** Writes; when the target refuses something beside the bytes, writes without it, and remembers that. */
export async function withoutRefused<T>(setup: CopySetup, delivery: Delivery, write: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (err) {
      const code = serverCodeOf(err);
      const extra = refusals
        .filter(({ codes }) => code !== undefined && codes.includes(code))
        .flatMap(({ extras }) => extras)
        .find((one) => delivery.carried[one] !== undefined);
      if (extra === undefined) throw err;
      setup.refused.add(extra);
      delivery.again();
    }
  }
}

export function serverCodeOf(err: unknown): string | undefined {
  if (!(err instanceof MusterError) || err.code !== 'OBJECT_STORE_REFUSED') return undefined;
  const { serverCode } = err as MusterError & { serverCode?: unknown };
  return typeof serverCode === 'string' ? serverCode : undefined;
}

export function putOptions(carried: Carried): PutOptions {
  return { ...carried };
}

/** The outcome of a copy that arrived. */
export function copied(of: {
  task: CopyTask;
  info: ObjectInfo;
  delivery: Delivery;
  put: PutResult;
  own: Checksums;
  proof: Proof;
}): CopyOutcome & { kind: 'copied' } {
  const { task, info, delivery, put } = of;
  return {
    ...{ kind: 'copied', proof: of.proof, sourceEtag: info.etag, writtenAtMs: task.writtenAtMs },
    ...{ sizeBytes: info.sizeBytes, targetEtag: put.etag, targetVersion: put.versionId ?? '' },
    checksums: { ...of.own, ...put.checksums },
    notCarried: delivery.notCarried,
  };
}
