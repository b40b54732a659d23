import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AcceptReply, type DriveApi, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { getObject, objectNode, putObject } from '../support/object-node.ts';

/** Answers the first accept in its own way, and any other as the drive does. */
function once(drive: DriveApi, answer: (ballot: number) => Promise<AcceptReply>): DriveApi {
  let asked = false;
  const accept: DriveApi['accept'] = (request, options) => {
    if (asked) return drive.accept(request, options);
    asked = true;
    return answer(request.ballot);
  };
  return Object.assign(Object.create(drive) as DriveApi, { accept });
}

/** Answers later than the others. */
function slow(drive: DriveApi): DriveApi {
  const accept: DriveApi['accept'] = async (request, options) => {
    await new Promise((resolve) => {
      setTimeout(resolve, 30);
    });
    return drive.accept(request, options);
  };
  return Object.assign(Object.create(drive) as DriveApi, { accept });
}

const others: Record<string, () => Promise<AcceptReply>> = {
  'cannot be reached': () => Promise.reject(new DriveUnavailable('cut off')),
  'is full': () => Promise.resolve({ kind: 'full' }),
  'has lost the data': () => Promise.resolve({ kind: 'no-data' }),
};

for (const [what, answer] of Object.entries(others)) {
  test(`a writer that is outbid on one drive while another ${what} bids again, and wins`, async () => {
    const drives = memoryDrives(4);
    const set = setOf(drives, 0, (drive, position) => {
      if (position === 1) return once(drive, (ballot) => Promise.resolve({ kind: 'outbid', promised: ballot + 1 }));
      return position === 3 ? once(drive, answer) : slow(drive);
    });
    const writer = objectNode(set, 0);
    await putObject(writer, 'key', Buffer.from('value'));
    assert.equal((await getObject(writer, 'key')).toString(), 'value');
  });
}
