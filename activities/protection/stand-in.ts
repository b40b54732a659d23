import type { MirrorOrder, Protected, Vault } from '../../workflows/engine/protection.ts';
import { mirror } from '../backup/engine/mirror.ts';
import { mirrorWal } from '../backup/postgres/mirror-wal.ts';
import { openStore } from '../backup/repository/open-store.ts';
import type { ProtectionContext } from './context.ts';
import { addressOfVault, openVault, withVault } from './vault.ts';

/** In a copy: what was written to it in its vault's place is not in the vault yet. */
const note = 'stand-in/pending';

/**
 * Notes in a copy that it is written to in its vault's place, before anything is: else the next mirroring would take it
 * for what the vault has pruned. Does nothing for an order that goes into its own vault.
 * @throws MusterError as `openVault`
 */
export async function noteStandIn({ vault, insteadOf }: Protected & { vault: Vault }): Promise<void> {
  if (insteadOf === undefined) return;
  const repository = await openVault(vault);
  try {
    await repository.store.side.put(note, Buffer.from(JSON.stringify({ insteadOf, atMs: Date.now() })));
  } finally {
    await repository.close();
  }
}

/**
 * Brings home what a copy was given in its vault's place, before the copy is made equal to the vault again. What the vault
 * has pruned since comes along once and is pruned again.
 * @returns files that came home
 * @throws MusterError as `withVault`, REPOSITORY_EXISTS, REPOSITORY_DAMAGED
 */
export async function bringHome(order: MirrorOrder, context: ProtectionContext): Promise<number> {
  const copy = await openStore(addressOfVault(order.to));
  try {
    const noted = await copy.side.get(note);
    if (noted === null) return 0;
    return await withVault(order.from, 'shared', context, async ({ repository, signal }) => {
      const { store: vault, sealer } = repository;
      const { files } = await mirror({
        ...{ from: copy, to: vault, sealer, signal },
        onProgress: (progress) => context.heartbeat({ phase: 'bringing home', ...progress }),
      });
      const wal = await mirrorWal(copy.side, vault.side, { signal });
      // Somebody may have written there meanwhile, and said so.
      const now = await copy.side.get(note);
      if (now !== null && Buffer.compare(now, noted) === 0) await copy.side.remove(note);
      return files + wal.copied;
    });
  } finally {
    await copy.close();
  }
}
