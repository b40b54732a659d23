import { createHash } from 'node:crypto';
import { type Side } from '../activities/mover/side.ts';
import { MusterError } from '../workflows/engine/errors.ts';

/** Two opened places of a copy. */
export interface Places extends AsyncDisposable {
  source: Side;
  target: Side;
  /** Of each place, alike in every run. */
  names: { a: string; b: string };
  /** Of the pair, in this order. */
  fingerprint: string;
}

/** Opens the places that two addresses name. @throws CONFIG_INVALID when one lies within the other */
export async function openPlaces(sourceText: string, targetText: string): Promise<Places> {
  const [{ parseLocation }, { openObjects }] = await Promise.all([
    import('../activities/objects/location.ts'),
    import('../activities/objects/open.ts'),
  ]);
  const [from, to] = [parseLocation(sourceText, process.env), parseLocation(targetText, process.env)];
  if (from.endpoint === to.endpoint && from.bucket === to.bucket && overlaps(from.prefix, to.prefix))
    throw new MusterError('CONFIG_INVALID', 'source and target lie within each other');
  const [source, target] = [openObjects(from), openObjects(to)];
  const placeOf = ({ endpoint, bucket, prefix }: typeof from): (string | undefined)[] => [endpoint, bucket, prefix];
  return {
    source: { client: source, prefix: from.prefix },
    target: { client: target, prefix: to.prefix },
    names: { a: printOf(placeOf(from)), b: printOf(placeOf(to)) },
    fingerprint: printOf({ from: placeOf(from), to: placeOf(to) }),
    async [Symbol.asyncDispose]() {
      await Promise.all([source[Symbol.asyncDispose](), target[Symbol.asyncDispose]()]);
    },
  };
}

function overlaps(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}

function printOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
