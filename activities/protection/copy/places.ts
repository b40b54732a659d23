import { createHash } from 'node:crypto';
import path from 'node:path';
import type { CopyLeg, CopyOrder } from '../../../workflows/engine/copying.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Side } from '../../mover/side.ts';
import { parseLocation } from '../../objects/location.ts';
import { openObjects } from '../../objects/open.ts';
import type { ObjectPlace } from '../../objects/place.ts';
import { resolveReference } from '../../references.ts';

/** Both ends of a leg as this process reaches them. */
export interface CopyPlaces extends AsyncDisposable {
  source: Side;
  /** Undefined where the order names no target. */
  target: Side | undefined;
  /** What is remembered of this pair of places lies below this name: rows of another pair would be taken for its own. */
  fingerprint: string;
}

/** Nothing is sent yet. @throws MusterError CONFIG_INVALID, SECRET_MISSING */
export function openCopyPlaces(
  { name, from, to }: Pick<CopyOrder, 'name' | 'from' | 'to'>,
  { filter }: Pick<CopyLeg, 'filter'>,
  env: NodeJS.ProcessEnv = process.env,
): CopyPlaces {
  const [source, target] = [below(from, filter.prefix, env), to === null ? undefined : below(to, filter.prefix, env)];
  if (target !== undefined && areNested(source, target))
    throw new MusterError('CONFIG_INVALID', `copy ${name}: source and target lie within each other`);
  const clients = [source, ...(target === undefined ? [] : [target])].map((place) => openObjects(place));
  const [sourceClient, targetClient] = clients;
  const places = [source, target].map((place) => place && [place.endpoint, place.bucket, place.prefix]);
  return {
    source: { client: sourceClient!, prefix: source.prefix },
    target:
      target === undefined || targetClient === undefined ? undefined : { client: targetClient, prefix: target.prefix },
    fingerprint: createHash('sha256').update(JSON.stringify(places)).digest('hex').slice(0, 16),
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    },
  };
}

function below(address: string, prefix: string, env: NodeJS.ProcessEnv): ObjectPlace {
  const place = parseLocation(resolveReference(address, env), env);
  return { ...place, prefix: place.prefix + prefix };
}

function areNested(a: ObjectPlace, b: ObjectPlace): boolean {
  const isSameBucket = a.endpoint === b.endpoint && a.bucket === b.bucket;
  return isSameBucket && (a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix));
}

/** What a copy remembers. A dry run or a comparison keeps its own, so that it may run beside the copy itself. */
export function copyDir(stateDir: string, { name, mode }: Pick<CopyOrder, 'name' | 'mode'>): string {
  return path.join(stateDir, 'copies', mode === 'do' ? name : `${name}.${mode}`);
}
