import { openVault } from '../activities/protection/vault.ts';
import type { Estate } from '../runbooks/estate.ts';
import { vaultOf } from '../runbooks/protection.ts';
import type { Aim, Protected, Vault } from '../workflows/engine/protection.ts';

export interface AimDeps {
  estate: Estate;
  /** Site that holds the newest epoch of a service; null while nobody knows. */
  writerOf: (service: string) => string | null;
  /** Why a vault cannot be opened; null when it can. */
  whyShut?: (vault: Vault) => Promise<string | null>;
}

/** A vault that does not open within this time is taken for one that does not answer. */
const openWithinMs = 15_000;

/**
 * Where a service is to be protected now: read at the site that writes, kept in its vault, or away from home, where that
 * does not answer, in the vault's copy. As ordered while nobody knows who writes. A vault is not asked while the service
 * is at home: there its silence is a failure of the backup, as it is any day.
 */
export async function aimAtWriter(
  { estate, writerOf, whyShut = whyVaultIsShut }: AimDeps,
  { service, site, vault }: Pick<Protected, 'service' | 'site'> & { vault: Vault },
): Promise<Aim> {
  const writer = writerOf(service);
  const home = Object.hasOwn(estate.services, service) ? estate.services[service]?.primary : undefined;
  if (writer === null || home === undefined) return { kind: 'aimed', site, vault, insteadOf: null };
  if (writer === home) return { kind: 'aimed', site: writer, vault, insteadOf: null };
  const whys: string[] = [];
  for (const one of vaultAndCopies(estate, vault)) {
    const why = await whyShut(one);
    const insteadOf = one.name === vault.name ? null : vault.name;
    if (why === null) return { kind: 'aimed', site: writer, vault: one, insteadOf };
    whys.push(`${one.name}: ${why}`);
  }
  const copies = whys.length > 1 ? '' : `; vault ${vault.name} has no copy (\`copyTo\`)`;
  const why = `service ${service} writes at ${writer}, and no vault of its backups answers: ${whys.join('; ')}${copies}`;
  return { kind: 'no-vault', writer, why };
}

/** The vault, its copy, the copy of that one, ... */
function vaultAndCopies(estate: Estate, vault: Vault): Vault[] {
  const chain = [vault];
  for (;;) {
    const last = chain.at(-1)!.name;
    const copyTo = Object.hasOwn(estate.vaults, last) ? estate.vaults[last]?.copy?.to : undefined;
    if (copyTo === undefined || chain.some(({ name }) => name === copyTo)) return chain;
    chain.push(vaultOf(estate, copyTo));
  }
}

async function whyVaultIsShut(vault: Vault): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`it does not answer within ${openWithinMs / 1_000} s`), openWithinMs);
  });
  const opened = openVault(vault).then(
    async (repository) => {
      await repository.close();
      return null;
    },
    (err: unknown) => (err instanceof Error ? err.message : String(err)),
  );
  try {
    return await Promise.race([opened, late]);
  } finally {
    clearTimeout(timer);
  }
}
