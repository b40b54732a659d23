/** `muster repo` on a bucket with object lock. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { initRepository } from '../../activities/backup/repository/repository.ts';
import { openObjects } from '../../activities/objects/open.ts';
import { noise } from '../backup/engine/world.ts';
import { cheap, password } from '../backup/repository/support/repositories.ts';
import { findMinio, startMinio } from '../objects/support/minio.ts';
import { emptyPlace, lineOf, linesOf } from './support/muster.ts';

const binary = findMinio();
const options = { skip: binary === undefined ? 'minio is neither on PATH nor in ~/go/bin' : false, timeout: 120_000 };

test('files are locked by the address, the locks renewed, and a prune says what is still held', options, async (t) => {
  await using minio = await startMinio(binary!);
  const fixed = { kind: 'fixed', credentials: minio } as const;
  const at = { dialect: 's3', bucket: 'vault', prefix: 'in/', region: 'us-east-1', addressing: 'path' } as const;
  await using client = openObjects({ ...at, endpoint: minio.endpoint, credentials: fixed });
  await client.createBucket({ lock: true });
  const place = emptyPlace(t);
  const env = {
    MUSTER_REPOSITORY: `s3://vault/in?endpoint=${minio.endpoint}&region=us-east-1&pathStyle=true&objectLock=governance:1d`,
    ...{ AWS_ACCESS_KEY_ID: minio.accessKeyId, AWS_SECRET_ACCESS_KEY: minio.secretAccessKey },
  };
  const done = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await place.muster([...args, '--json'], env);
    assert.equal(code, 0, stderr + stdout);
    return lineOf(linesOf(stdout), 'summary');
  };
  const retention = { mode: 'GOVERNANCE', forMs: 86_400_000 } as const;
  const objects = { ...at, endpoint: minio.endpoint, credentials: fixed };
  const address = { kind: 'objects', place: objects, retention } as const;
  await (await initRepository({ address, password, scrypt: cheap })).close();
  writeFileSync(place.at('file'), noise(100_000));
  await done('backup', place.source);
  const { retention: first } = await client.head('in/config');
  assert.ok(first !== undefined && first.untilMs < Date.now() + 2 * 86_400_000);

  const renewed = await done('renew-locks', '--for', '30d', '--mode', 'governance');
  assert.deepEqual([renewed['kind'], renewed['files_renewed']], ['renewed', renewed['files']]);
  assert.ok((await client.head('in/config')).retention!.untilMs > Date.now() + 29 * 86_400_000);
  const again = await place.muster(['renew-locks', '--for', '20d', '--mode', 'governance'], env);
  assert.match(again.stdout, /^\d files locked until .* or longer, 0 of them made longer, in /);

  writeFileSync(place.at('file'), noise(200_000, 2));
  await done('backup', place.source);
  await place.muster(['forget', '--keep-last', '1'], env);
  const { stdout } = await place.muster(['prune', '--max-unused', '0'], env);
  assert.match(stdout, /\n\d packs?, [\d.]+ KiB, under a lock of the store until .*: a later prune removes them\n$/);

  const wrong = await place.muster(['renew-locks', '--for', 'soon'], env);
  assert.deepEqual([wrong.code, /--for must be a duration/.test(wrong.stderr)], [2, true]);
});
