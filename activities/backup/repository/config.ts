import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { isIrreducible, randomPolynomial } from './polynomial.ts';
import type { Sealer } from './sealing.ts';
import { configName, damaged, type RepositoryStore } from './store.ts';
import { decodeUnpacked, saveUnpacked } from './unpacked.ts';

/** The file `config` of a repository. */
export interface RepositoryConfig {
  readonly version: 2;
  /** 64 hexadecimal digits, random. */
  readonly id: string;
  /** Irreducible polynomial of degree 53 over GF(2), in hexadecimal: where restic's chunker cuts files. */
  readonly chunker_polynomial: string;
}

const schema = z.object({
  version: z.number(),
  id: z.string().regex(/^[0-9a-f]{64}$/),
  chunker_polynomial: z.string().regex(/^[0-9a-f]+$/),
});

interface Access {
  readonly store: RepositoryStore;
  readonly sealer: Sealer;
}

export async function createConfig(access: Access): Promise<RepositoryConfig> {
  const config: RepositoryConfig = {
    version: 2,
    id: randomBytes(32).toString('hex'),
    chunker_polynomial: randomPolynomial(),
  };
  await saveUnpacked(access, 'config', config);
  return config;
}

/** @throws MusterError REPOSITORY_MISSING, REPOSITORY_DAMAGED, or REPOSITORY_UNSUPPORTED for another format version */
export async function loadConfig(access: Access): Promise<RepositoryConfig> {
  const { store } = access;
  const stored = await store.read('config', configName);
  if (stored === null) throw new MusterError('REPOSITORY_MISSING', `there is no repository at ${store.place}`);
  const parsed = schema.safeParse(decodeUnpacked(access, 'config', configName, stored));
  if (!parsed.success) throw damaged(store, 'config', configName, 'lacks what a config has to have');
  const { version, id, chunker_polynomial } = parsed.data;
  if (version !== 2) {
    throw new MusterError(
      'REPOSITORY_UNSUPPORTED',
      `the repository at ${store.place} is of format version ${version}: bring it to version 2 with ` +
        '`restic migrate upgrade_repo_v2`',
    );
  }
  if (!isIrreducible(BigInt(`0x${chunker_polynomial}`))) {
    throw damaged(store, 'config', configName, 'holds a polynomial that is not irreducible');
  }
  return { version, id, chunker_polynomial };
}
