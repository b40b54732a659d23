/** What all restore tests of these files stand on: a vault in a directory, orders for it, and a context. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Repository } from '../../../../activities/backup/repository/attach.ts';
import { openRepository } from '../../../../activities/backup/repository/repository.ts';
import { usableDataHome } from '../../../../activities/drivers/postgres/owner.ts';
import type { ProtectionContext } from '../../../../activities/protection/context.ts';
import { markName } from '../../../../activities/protection/proof/marked.ts';
import { restoreTest, type RestoreTestTools } from '../../../../activities/protection/restore-test.ts';
import type { PlanResource } from '../../../../workflows/engine/plan.ts';
import type {
  ProofChecks,
  RecoveryPoint,
  RestoreProof,
  RestoreTestOrder,
  Vault,
} from '../../../../workflows/engine/protection.ts';
import { directoryAddress, initCheaply, password } from '../../../backup/repository/support/repositories.ts';

export const service = 'shop';
export const site = 'hangzhou';

/** A directory of its own, passable for the user of servers; gone afterwards. */
export interface World extends AsyncDisposable {
  dir: string;
  at(...names: string[]): string;
  vault: Vault;
  /** Of the vault, open. */
  repository: Repository;
}

export async function createWorld(name: string): Promise<World> {
  const dir = await mkdtemp(path.join(usableDataHome(tmpdir()), `muster-proof-${name}-`));
  chmodSync(dir, 0o711);
  const at = (...names: string[]): string => path.join(dir, ...names);
  const repository = await initCheaply(at('vault'));
  return {
    ...{ dir, at, repository, vault: vaultAt(at('vault')) },
    async [Symbol.asyncDispose]() {
      await repository.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function vaultAt(directory: string): Vault {
  return {
    ...{ name: 'vault', repository: directory, password, site: null, verifyWithinSeconds: null, lockSeconds: null },
  };
}

/** A copy of the vault to be damaged. */
export async function copyOfVault(world: World, name: string): Promise<Vault> {
  const to = world.at(`vault-${name}`);
  await cp(world.at('vault'), to, { recursive: true });
  return vaultAt(to);
}

export function openVaultAt(vault: Vault): Promise<Repository> {
  return openRepository({ address: directoryAddress(vault.repository), password });
}

export interface Attempt {
  world: World;
  resource: PlanResource;
  point: RecoveryPoint;
  before?: RecoveryPoint | null;
  vault?: Vault;
  checks?: ProofChecks;
  target?: RestoreTestOrder['target'];
  tools?: RestoreTestTools;
  runId?: string;
  signal?: AbortSignal;
  heartbeat?: (progress: unknown) => void;
}

let runs = 0;

/** Makes a restore test, and sees to it that nothing of it is left, however it went. */
export async function attempt(given: Attempt): Promise<RestoreProof> {
  const { world, point, before = null } = given;
  const context = contextOf(given);
  try {
    return await restoreTest(orderOf(given), { point, before }, context, given.tools);
  } finally {
    assert.deepEqual(leftBehind(world, context.runId), [], 'files or processes were left behind');
  }
}

export function orderOf({ world, resource, point, vault, checks = {}, target }: Attempt): RestoreTestOrder {
  return {
    ...{ service, resource, site, vault: vault ?? world.vault, startedBy: 'test', checks },
    ...{ point: { kind: 'id', id: point.id }, target: target ?? { kind: 'point' } },
  };
}

export function contextOf({
  world,
  runId,
  signal,
  heartbeat,
}: Pick<Attempt, 'world' | 'runId' | 'signal' | 'heartbeat'>): ProtectionContext {
  return {
    signal: signal ?? new AbortController().signal,
    runId: runId ?? `run-${++runs}`,
    heartbeat: heartbeat ?? (() => undefined),
    before: undefined,
    log: () => undefined,
    ...{ scratchDir: world.dir, stateDir: world.dir },
  };
}

/** What the names of a run's places begin with. */
export function placesOf({ dir }: World, runId: string): string {
  return path.join(dir, `restore-test-${runId}.`);
}

/** Places of restore tests in the world, and processes that work in one or carry its mark. */
export function leftBehind(world: World, runId: string): string[] {
  const places = placesOf(world, runId);
  const files = readdirSync(world.dir).filter((name) => name.startsWith(path.basename(places)));
  return [...files, ...processesOf(places)];
}

export function processesOf(places: string): string[] {
  const about = (pid: string): string => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const isOurs = environment.includes(`${markName}=${places}`) || command.includes(places);
      return isOurs ? `${pid} ${command}` : '';
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(about)
    .filter((one) => one !== '');
}

/** What a row of a table of silent failures expects. */
export interface Caught {
  /** Beginning of `failure`. */
  code: string;
  /** Somewhere in the failure. */
  says: RegExp;
}

export function assertCaught(proof: RestoreProof, { code, says }: Caught): void {
  const all = JSON.stringify({ failure: proof.failure, findings: proof.findings }, null, 1);
  assert.equal(proof.verdict, 'failed', all);
  assert.match(proof.failure ?? '', new RegExp(`^${code}: `), all);
  assert.match(proof.failure ?? '', says, all);
}

export function assertProven(proof: RestoreProof): void {
  assert.deepEqual([proof.verdict, proof.failure], ['proven', null], JSON.stringify(proof.findings, null, 1));
}

export async function filesBelow(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found.filter((one) => one.isFile()).map((one) => path.join(one.parentPath, one.name));
}
