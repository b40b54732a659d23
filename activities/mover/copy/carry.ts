import { type ContentHeaders, type ObjectClient, type ObjectInfo, type Retention } from '../../objects/types.ts';
import { type Marks, withoutMarks, writeMarks } from './marks.ts';
import { type NotCarried } from './outcome.ts';

/** What goes along with the bytes, in the target's words. */
export interface Carried {
  content: ContentHeaders;
  metadata: Record<string, string>;
  tags?: Record<string, string>;
  storageClass?: string;
  retention?: Retention;
  legalHold?: boolean;
}

/** What may stay behind when a target refuses it, the least missed first. */
export type Extra = 'storageClass' | 'retention' | 'legalHold' | 'tags';

export interface CarryRule {
  /** `keep`: the source's class where the target has it; `default`: what the target does by itself; else that class. */
  storageClass: string;
  tags: boolean;
  /** Retention and legal hold. */
  locks: boolean;
}
export const usualCarryRule: CarryRule = { storageClass: 'keep', tags: true, locks: true };

/** S3: all names and values together. Source: S3 user guide, object metadata (2 KB); OSS: 8 KB. */
export const metadataBytes = { s3: 2_048, oss: 8_192 } as const;

/** Classes that mean the same. What is not here has no like in the other dialect. */
const ossClass: Readonly<Record<string, string>> = { STANDARD: 'Standard', STANDARD_IA: 'IA' };
const s3Class: Readonly<Record<string, string>> = { Standard: 'STANDARD', IA: 'STANDARD_IA' };

/**
 * What of an object is carried to a target, and what cannot be. `refused`: what this target has refused before.
 */
export function carry(
  source: { info: ObjectInfo; tags: Record<string, string> | undefined; dialect: ObjectClient['dialect'] },
  target: { dialect: ObjectClient['dialect']; objectLock: boolean; refused: ReadonlySet<Extra> },
  { rule, marks }: { rule: CarryRule; marks: Marks },
): { carried: Carried; notCarried: NotCarried[] } {
  const { info } = source;
  const notCarried: NotCarried[] = [];
  const carried: Carried = { content: info.content, metadata: withMarks(info.metadata, marks, target, notCarried) };
  const offer = (extra: Extra, name: string, add: () => void, possible = true): void => {
    if (possible && !target.refused.has(extra)) add();
    else notCarried.push(name);
  };
  if (rule.tags && source.tags !== undefined && Object.keys(source.tags).length > 0)
    offer('tags', 'tags', () => (carried.tags = source.tags!));
  if (rule.locks && info.retention !== undefined)
    offer('retention', 'retention', () => (carried.retention = info.retention!), target.objectLock);
  if (rule.locks && info.legalHold === true)
    offer('legalHold', 'legal hold', () => (carried.legalHold = true), target.objectLock);
  const wanted = classFor(info.storageClass, { rule, from: source.dialect, to: target.dialect });
  if (wanted.kind === 'unknown') notCarried.push(`storage class ${info.storageClass}`);
  if (wanted.kind === 'class')
    offer('storageClass', `storage class ${info.storageClass}`, () => (carried.storageClass = wanted.name));
  return { carried, notCarried };
}

export type WantedClass = { kind: 'default' } | { kind: 'class'; name: string } | { kind: 'unknown' };

/** Which class an object of a class gets at the target; `default`: the target's own choice. */
export function classFor(
  sourceClass: string,
  { rule, from, to }: { rule: Pick<CarryRule, 'storageClass'>; from: 's3' | 'oss'; to: 's3' | 'oss' },
): WantedClass {
  if (rule.storageClass === 'default') return { kind: 'default' };
  if (rule.storageClass !== 'keep') return { kind: 'class', name: rule.storageClass };
  if (sourceClass === 'STANDARD' || sourceClass === 'Standard') return { kind: 'default' };
  const name = from === to ? sourceClass : (to === 'oss' ? ossClass : s3Class)[sourceClass];
  return name === undefined ? { kind: 'unknown' } : { kind: 'class', name };
}

/** Marks give way where there is no room for them: the object's own metadata comes first. */
function withMarks(
  metadata: Readonly<Record<string, string>>,
  marks: Marks,
  target: { dialect: 's3' | 'oss' },
  notCarried: NotCarried[],
): Record<string, string> {
  const own = withoutMarks(metadata);
  const both = { ...own, ...writeMarks(marks) };
  if (sizeOf(both) <= metadataBytes[target.dialect]) return both;
  notCarried.push("muster's marks, for want of room in the metadata");
  return own;
}

function sizeOf(metadata: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const name in metadata) bytes += name.length + Buffer.byteLength(metadata[name]!);
  return bytes;
}
