import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recountSet } from '../../../storage-node/heal/recount.ts';
import { type DriveApi, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { getObject, objectNode, putObject } from '../support/object-node.ts';

const cutOff = (): Promise<never> => Promise.reject(new DriveUnavailable('cut off'));
const body = Buffer.alloc(1_200_000, 'staged ');

/** The third and the fourth take the data alone, the fifth nothing. */
function half(drive: DriveApi, position: number): DriveApi {
  const stage: DriveApi['stage'] = (request) => ({ ...drive.stage(request), finish: cutOff });
  if (position === 4) return Object.assign(Object.create(drive) as DriveApi, { accept: cutOff, stage });
  if (position === 2 || position === 3) return Object.assign(Object.create(drive) as DriveApi, { accept: cutOff });
  return drive;
}

test('what drives have only staged is named first, when too few others are there to compute shards from', async () => {
  const drives = memoryDrives(8);
  await putObject(objectNode(setOf(drives, 0, half), 0), 'key', body);
  for (const drive of drives.slice(5)) drive.down = true;
  const node = objectNode(setOf(drives, 0), 0);
  await assert.rejects(getObject(node, 'key'), { code: 'ReadQuorumLost' });
  const { shardsWritten, reasons } = await recountSet(node.heal, node.set, { verify: false, heal: true });
  assert.equal(shardsWritten, 1, reasons.join());
  drives[0]!.down = true;
  assert.ok((await getObject(objectNode(setOf(drives, 4), 4), 'key')).equals(body));
});
