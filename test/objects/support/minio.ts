import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { anyPort } from '../../support/ports.ts';

/** The binary, or undefined where there is none on this machine. */
export function findMinio(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), path.join(os.homedir(), 'go', 'bin')];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, 'minio'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

export interface Minio {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A server of one drive in a directory of its own. */
export async function startMinio(binary: string): Promise<Minio> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-minio-'));
  const address = `127.0.0.1:${await anyPort()}`;
  const keys = { accessKeyId: 'tester', secretAccessKey: 'tester-secret-123' };
  const child = spawn(binary, ['server', dir, '--address', address, '--quiet'], {
    env: {
      ...{ HOME: dir, PATH: process.env['PATH'], MINIO_BROWSER: 'off', MINIO_UPDATE: 'off', GOMAXPROCS: '2' },
      ...{ MINIO_ROOT_USER: keys.accessKeyId, MINIO_ROOT_PASSWORD: keys.secretAccessKey },
    },
    stdio: 'ignore',
  });
  const stop = async (): Promise<void> => {
    await ended(child);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await untilReady(`http://${address}/minio/health/ready`, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint: `http://${address}`, ...keys, [Symbol.asyncDispose]: stop };
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const giveUpAtMs = Date.now() + 20_000;
  for (;;) {
    const status = await request(url).then(
      async ({ statusCode, body }) => {
        await body.dump();
        return statusCode;
      },
      () => 0,
    );
    if (status === 200) return;
    if (child.exitCode !== null || Date.now() > giveUpAtMs) throw new Error('minio does not come up');
    await sleep(50);
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
