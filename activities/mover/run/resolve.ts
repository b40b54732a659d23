import { compareChecksums } from '../../objects/checksum/values.ts';
import { createHasher } from '../../objects/checksum/hasher.ts';
import { type Checksums } from '../../objects/types.ts';
import { callOf, headOrNone } from '../copy/landing.ts';
import { headSource } from '../copy/head-source.ts';
import { readMarks } from '../copy/marks.ts';
import { type CopySetup, type CopyTask } from '../copy/ports.ts';
import { fullKey, type Side } from '../side.ts';

export type Resolved =
  | { kind: 'same'; by: 'mark' | 'checksum' | 'bytes'; targetEtag: string; checksums: Checksums }
  | { kind: 'different' }
  /** Nothing at hand decides. */
  | { kind: 'unsure' };

/**
 * Decides by asking both sides about an object of one size whose ETags say nothing: the mark of an earlier copy,
 * checksums that both know, and with `readBoth` the bytes themselves.
 */
export async function resolveSameness(setup: CopySetup, task: CopyTask, readBoth: boolean): Promise<Resolved> {
  const there = await headOrNone(setup, task.key);
  if (there === undefined || there.sizeBytes !== task.sizeBytes) return { kind: 'different' };
  const same = (by: 'mark' | 'checksum' | 'bytes', checksums: Checksums): Resolved => ({
    ...{ kind: 'same', by, targetEtag: there.etag, checksums },
  });
  if (!readBoth && readMarks(there.metadata)?.sourceEtag === task.etag) return same('mark', there.checksums);
  const info = await headSource(setup, task);
  const said = compareChecksums(info.checksums, there.checksums);
  if (said.kind !== 'unknown') return said.kind === 'same' ? same('checksum', there.checksums) : { kind: 'different' };
  if (!readBoth) return { kind: 'unsure' };
  const [left, right] = await Promise.all([
    hashObject(setup, setup.source, task.key),
    hashObject(setup, setup.target, task.key),
  ]);
  return compareChecksums(left, right).kind === 'same' ? same('bytes', right) : { kind: 'different' };
}

/** Reads an object for its checksums. */
export async function hashObject(
  setup: CopySetup,
  side: Side,
  key: string,
  kinds: readonly (keyof Checksums)[] = ['crc64nvme'],
): Promise<Checksums> {
  const hasher = createHasher(kinds);
  const body = await side.client.get(fullKey(side, key), {}, callOf(setup));
  for await (const chunk of body) {
    hasher.update(chunk);
    const waited = setup.throttle?.(chunk.length);
    if (waited !== undefined) await waited;
  }
  return hasher.digest();
}
