import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { backup, type BackupOptions, type BackupResult } from '../../../activities/backup/engine/backup.ts';
import { attachRepository, type Repository } from '../../../activities/backup/repository/attach.ts';
import { initCheaply } from '../repository/support/repositories.ts';

/** A repository in a directory of its own, and room for sources beside it; gone after the test. */
export interface World {
  dir: string;
  repository: Repository;
  /** A path in the source. */
  at(...names: string[]): string;
  source: string;
  save(options?: Partial<BackupOptions>): Promise<BackupResult>;
}

export async function createWorld(t: TestContext): Promise<World> {
  const dir = mkdtempSync(path.join(tmpdir(), 'muster-engine-'));
  const source = path.join(dir, 'source');
  mkdirSync(source);
  const repository = await initCheaply(path.join(dir, 'repo'));
  t.after(async () => {
    await repository.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    ...{ dir, repository, source },
    at: (...names) => path.join(source, ...names),
    save: (options) => backup({ repository, paths: [source], threads: 2, host: 'test', ...options }),
  };
}

/** The same repository with nothing cached, as another process would have it. */
export const fresh = ({ repository }: World): Promise<Repository> => attachRepository(repository.describe());

/** Bytes that do not compress and are the same each time. */
export function noise(bytes: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    // xorshift32 (Marsaglia 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, bytes);
}

/** One of each kind of thing that a directory can hold. */
export function makeOddTree({ at, source }: World): void {
  mkdirSync(at('empty directory'));
  mkdirSync(at('deep', 'er', 'est'), { recursive: true });
  writeFileSync(at('deep', 'er', 'est', 'small'), 'small');
  writeFileSync(at('empty'), '');
  writeFileSync(at('large'), noise(20 * 2 ** 20));
  writeFileSync(at('mode'), 'mode', { mode: 0o640 });
  chmodSync(at('mode'), 0o4751);
  symlinkSync('../nowhere', at('dangling'));
  symlinkSync('deep', at('link to a directory'));
  linkSync(at('large'), at('deep', 'second name'));
  writeFileSync(at('holes'), 'x');
  truncateSync(at('holes'), 12 * 2 ** 20);
  writeFileSync(Buffer.concat([Buffer.from(`${source}/bytes `), Buffer.from([0xff, 0xfe])]), 'no UTF-8');
  writeFileSync(at('Grüße \u{1f600} \uff5e "quoted" \\ \n\t'), 'odd');
  utimesSync(at('empty'), 1_000_000_000.5, 946_684_800);
  utimesSync(at('deep'), 1, 1);
}
