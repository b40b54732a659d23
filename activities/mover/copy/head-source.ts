import { MusterError } from '../../../workflows/engine/errors.ts';
import { type ObjectInfo } from '../../objects/types.ts';
import { fullKey } from '../side.ts';
import { callOf } from './landing.ts';
import { type CopySetup, type CopyTask } from './ports.ts';

/**
 * What the source says of the object that was listed.
 * @throws OBJECT_CHANGED when it is another by now, OBJECT_ARCHIVED before a byte is asked for
 */
export async function headSource(setup: CopySetup, task: CopyTask): Promise<ObjectInfo> {
  const { source } = setup;
  const which = task.versionId === undefined ? { ifMatch: task.etag } : { versionId: task.versionId };
  const info = await source.client.head(fullKey(source, task.key), which, callOf(setup));
  if (info.archived) throw new MusterError('OBJECT_ARCHIVED', `${JSON.stringify(task.key)} in ${source.client.name}`);
  return info;
}
