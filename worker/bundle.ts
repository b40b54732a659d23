import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.join(import.meta.dirname, '..');
const workflowsPath = path.join(root, 'workflows', 'index.ts');

/**
 * Path of the bundled workflow code, built when the sources or the SDK have changed. A process of its own builds it: the
 * bundler would otherwise keep 200 MB in the worker for ever.
 */
export async function workflowBundle(cacheDir: string): Promise<string> {
  const file = path.join(cacheDir, `workflows-${await fingerprint()}.js`);
  if (existsSync(file)) return file;
  await mkdir(cacheDir, { recursive: true });
  await promisify(execFile)(process.execPath, [path.join(import.meta.dirname, 'build-bundle.ts'), workflowsPath, file]);
  return file;
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  const folder = path.join(root, 'workflows');
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts')).toSorted();
  for (const name of names) hash.update(name).update(await readFile(path.join(folder, name)));
  hash.update(await readFile(path.join(root, 'package.json')));
  return hash.digest('hex').slice(0, 16);
}
