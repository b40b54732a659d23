import { compareChecksums } from '../../objects/checksum/values.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { type Checksums, type WriteConditions } from '../../objects/types.ts';
import { fullKey } from '../side.ts';
import { copied, prepare, putOptions, withoutRefused } from './delivery.ts';
import { callOf, headOrNone } from './landing.ts';
import { readMarks } from './marks.ts';
import { type CopyOutcome } from './outcome.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { kindsToCompute, proveCopy, proveRead } from './proof.ts';
import { bodyFor, readHashed } from './read-hashed.ts';
import { fromSource, fromTarget } from './side-errors.ts';
import { headSource } from './head-source.ts';

/** An object of some size goes through in one request of each side, as a stream. */
export async function copyStreamed(
  setup: CopySetup,
  task: CopyTask,
  conditions: WriteConditions,
): Promise<CopyOutcome> {
  const { target } = setup;
  const info = await fromSource(headSource(setup, task));
  const delivery = await prepare(setup, task, info, true);
  const kind = target.client.supports.wholeChecksum;
  const read = readHashed(setup, task, {
    kinds: kindsToCompute(info.checksums, kind),
    approve: (own) => proveRead(task.key, info.checksums, own),
  });
  const known = info.checksums[kind];
  try {
    // Known beforehand it is sent along, and the target refuses what does not match.
    const { open, checksums } =
      known === undefined ? await bodyFor(setup, read) : { open: read.open, checksums: { [kind]: known } };
    const put = await withoutRefused(setup, delivery, () =>
      fromTarget(
        target.client.put(
          fullKey(target, task.key),
          { sizeBytes: info.sizeBytes, open },
          { ...putOptions(delivery.carried), checksums, ...conditions },
          callOf(setup),
        ),
      ),
    );
    const own = read.own();
    const proof = proveCopy(task.key, { source: info.checksums, own, target: put.checksums });
    return copied({ task, info, delivery, put, own, proof });
  } catch (err) {
    if (err instanceof MusterError && err.code === 'CHECKSUM_MISMATCH') await removeDamaged(setup, task, read.own());
    throw err;
  }
}

/** Takes away what arrived damaged; what somebody else wrote stays. */
export async function removeDamaged(setup: CopySetup, task: CopyTask, own: Checksums): Promise<void> {
  const there = await headOrNone(setup, task.key);
  if (there === undefined || readMarks(there.metadata)?.sourceEtag !== task.etag) return;
  if (compareChecksums(own, there.checksums).kind !== 'different') return;
  const version = there.versionId === undefined ? {} : { versionId: there.versionId };
  await setup.target.client.delete(fullKey(setup.target, task.key), version, callOf(setup));
}
