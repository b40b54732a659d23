import { MusterError } from '../../workflows/engine/errors.ts';
import type { Vault } from '../../workflows/engine/protection.ts';
import { parseAddress } from '../backup/repository/address.ts';
import type { Repository } from '../backup/repository/attach.ts';
import type { RepositoryLock } from '../backup/repository/kept-lock.ts';
import { acquireLock } from '../backup/repository/lock.ts';
import { resolvePassword } from '../backup/repository/password.ts';
import { initRepository, openRepository } from '../backup/repository/repository.ts';
import type { StoreAddress } from '../backup/repository/store.ts';
import { resolveReference } from '../references.ts';
import type { ProtectionContext } from './context.ts';

/** An open vault, locked, and what work on it has to heed. */
export interface OpenVault {
  repository: Repository;
  lock: RepositoryLock;
  /** Aborted when the activity is to end, or when the lock was lost. */
  signal: AbortSignal;
}

/** Backups wait for a prune, and a prune for backups, at most so long. */
const lockWaitMs = 15 * 60_000;

/**
 * Opens a vault's repository, locks it, and closes both whatever happens. `shared` for whoever adds or reads,
 * `exclusive` for whoever removes.
 * @throws MusterError CONFIG_INVALID, SECRET_MISSING, REPOSITORY_MISSING, REPOSITORY_KEY_WRONG, REPOSITORY_LOCKED, ...
 */
export async function withVault<Result>(
  vault: Vault,
  mode: 'shared' | 'exclusive',
  context: Pick<ProtectionContext, 'signal' | 'log'>,
  body: (open: OpenVault) => Promise<Result>,
): Promise<Result> {
  const repository = await openVault(vault);
  try {
    const lock = await acquireLock(repository, {
      exclusive: mode === 'exclusive',
      waitMs: lockWaitMs,
      onWaiting: (who) => context.log(`vault ${vault.name}: waiting for ${who}`),
    });
    try {
      return await body({ repository, lock, signal: AbortSignal.any([context.signal, lock.signal]) });
    } finally {
      await lock.release();
    }
  } finally {
    await repository.close();
  }
}

/** Opens a vault's repository; the caller closes it. @throws MusterError as `withVault` */
export async function openVault(vault: Vault, env: NodeJS.ProcessEnv = process.env): Promise<Repository> {
  const { address, password } = await resolveVault(vault, env);
  return openRepository({ address, password });
}

/** Makes the vault's repository when there is none. @returns whether it was made */
export async function ensureVault(vault: Vault, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const { address, password } = await resolveVault(vault, env);
  try {
    const repository = await openRepository({ address, password });
    await repository.close();
    return false;
  } catch (err) {
    if (!(err instanceof MusterError) || err.code !== 'REPOSITORY_MISSING') throw err;
  }
  const repository = await initRepository({ address, password });
  await repository.close();
  return true;
}

/** Where a vault's repository lies. @throws MusterError CONFIG_INVALID, SECRET_MISSING */
export function addressOfVault(vault: Vault, env: NodeJS.ProcessEnv = process.env): StoreAddress {
  const address = parseAddress(resolveReference(vault.repository, env), env);
  if (vault.lockSeconds === null) return address;
  if (address.kind === 'objects')
    return { ...address, retention: { mode: 'COMPLIANCE', forMs: vault.lockSeconds * 1_000 } };
  throw new MusterError('CONFIG_INVALID', `vault ${vault.name}: a directory cannot lock files; leave \`lock\` out`);
}

async function resolveVault(
  vault: Vault,
  env: NodeJS.ProcessEnv,
): Promise<{ address: StoreAddress; password: string }> {
  const { password } = vault;
  const isCommand = password.startsWith('command:');
  return {
    address: addressOfVault(vault, env),
    password: isCommand ? await resolvePassword(password, env) : resolveReference(password, env),
  };
}
