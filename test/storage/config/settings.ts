/** Settings that are right, files they name, and what is said when one is not. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { type SettingName, settingNames, type Settings } from '../../../storage-node/config.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import {
  type CertifiedKey,
  createClusterCa,
  issueNodeCertificate,
  writeNodeFiles,
} from '../../../storage-node/rpc/certs.ts';

export const directory = mkdtempSync(path.join(tmpdir(), 'muster-config-'));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

/** A path in the test's own directory where nothing is yet. */
export function unusedPath(): string {
  return path.join(directory, String(files++));
}

export function file(content: string): string {
  const name = unusedPath();
  writeFileSync(name, content);
  return name;
}

const clusterId = 'muster';
const ca = createClusterCa({ clusterId, days: 1 });

export function certified(nodeId: string): CertifiedKey {
  return issueNodeCertificate({ ca, clusterId, nodeId, hosts: [], days: 1 });
}

/** A directory of certificates a node could start with. */
export function certsDir(): string {
  const name = unusedPath();
  writeNodeFiles(name, certified('127.0.0.1-9000'), [ca.certificate]);
  return name;
}

export const good: Settings = {
  drives: 'http://127.0.0.1:{9000...9003}/data',
  node: '127.0.0.1:9000',
  plainRpc: 'true',
  rootUser: 'admin',
  rootPassword: 'long enough',
};

export function envOf(settings: Settings, suffix = ''): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [settingNames[name as SettingName] + suffix, value]),
  );
}

/** The settings as a file has them: numbers and truth as what they are, where the text is one. */
export function inFile(settings: Settings): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, text]) => {
      if (name === 'plainRpc') return [name, ['1', 'true', 'yes'].includes(text)];
      return [name, ['reserve', 'healRate', 'scrubHours'].includes(name) ? Number(text) : text];
    }),
  );
}

export const flagOf = (name: SettingName): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** What is said when it is refused, or `taken`. */
export function refusalOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof StorageError, String(error));
    assert.equal(error.code, 'InvalidArgument');
    return error.message;
  }
  return 'taken';
}
