import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { findPostgres } from './binaries.ts';
import { asOwner, makeOwnedDir } from './owner.ts';
import { configDir, writeOwned } from './settings.ts';

const run = promisify(execFile);

export interface InitOptions {
  dataDir: string;
  superuser: string;
  password: string;
  binDir?: string;
  /** Networks that may connect, with a password; default the loopback ones. */
  allowFrom?: readonly string[];
}

/** Makes a new, empty database server in `dataDir` (checksums on, UTF-8, C collation, passwords by SCRAM). It is not started. */
export async function initServer(options: InitOptions): Promise<void> {
  const { dataDir } = options;
  const { initdb } = await findPostgres(options.binDir);
  await makeOwnedDir(dataDir);
  await makeOwnedDir(configDir(dataDir));
  const passwordFile = path.join(configDir(dataDir), 'initdb-password');
  await writeOwned(passwordFile, `${options.password}\n`);
  try {
    await run(initdb, initArguments(options, passwordFile), {
      cwd: path.dirname(initdb),
      timeout: 120_000,
      ...asOwner(),
    });
    await writeOwned(path.join(dataDir, 'pg_hba.conf'), accessRules(options.allowFrom));
  } catch (err) {
    const why = err instanceof Error && 'stderr' in err ? String(err.stderr).trim().split('\n').at(-1) : String(err);
    throw new MusterError('SETUP_FAILED', `initdb in ${dataDir}: ${why}`);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

function initArguments(options: InitOptions, passwordFile: string): string[] {
  return [
    `--pgdata=${options.dataDir}`,
    `--username=${options.superuser}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--data-checksums',
    // The server syncs at its first checkpoint what matters; an empty database can be made again.
    '--no-sync',
    '--no-instructions',
  ];
}

function accessRules(allowFrom: readonly string[] = ['127.0.0.0/8', '::1/128']): string {
  const rules = allowFrom.flatMap((network) => [
    `host all all ${network} scram-sha-256`,
    `host replication all ${network} scram-sha-256`,
  ]);
  return `${['# Written by Muster when it made this server.', ...rules].join('\n')}\n`;
}
