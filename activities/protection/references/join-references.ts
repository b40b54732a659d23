import { MusterError } from '../../../workflows/engine/errors.ts';
import type { DanglingReferences } from '../../../workflows/engine/protection.ts';
import { compareKeys } from '../../objects/keys.ts';

const named = 100;

interface Found {
  count: number;
  names: string[];
}

/**
 * Which rows refer to no object, and which objects no row refers to. Both streams come in the order of their keys'
 * UTF-8 bytes, rows as often as there are some with the same key. One key of each is held, however many there are.
 * @throws MusterError INTERNAL when a stream is not in order: what is said of it would be wrong
 */
export async function joinReferences(
  referred: AsyncIterable<string>,
  objects: AsyncIterable<string>,
): Promise<Pick<DanglingReferences, 'rows' | 'objects' | 'missing' | 'unreferred'>> {
  const result = { rows: 0, objects: 0, missing: nothing(), unreferred: nothing() };
  await using stack = new AsyncDisposableStack();
  const [rows, saved] = [ordered(referred, 'rows'), ordered(objects, 'objects')];
  // A query or a vault that nobody reads on is let go.
  for (const stream of [rows, saved]) stack.defer(async () => void (await stream.return(undefined)));
  let row = await rows.next();
  let object = await saved.next();
  let isReferred = false;
  while (row.done !== true || object.done !== true) {
    const order = object.done === true ? -1 : row.done === true ? 1 : compareKeys(row.value, object.value);
    if (order > 0) {
      result.objects += 1;
      if (!isReferred) note(result.unreferred, object.value!);
      isReferred = false;
      object = await saved.next();
      continue;
    }
    result.rows += 1;
    if (order < 0) note(result.missing, row.value!);
    else isReferred = true;
    row = await rows.next();
  }
  return result;
}

const nothing = (): Found => ({ count: 0, names: [] });

/** Names come in order, so that doubles stand side by side. */
function note(found: Found, key: string): void {
  found.count += 1;
  if (found.names.length < named && found.names.at(-1) !== key) found.names.push(key);
}

async function* ordered(keys: AsyncIterable<string>, what: string): AsyncGenerator<string, undefined> {
  let before: string | null = null;
  for await (const key of keys) {
    if (before !== null && compareKeys(before, key) > 0)
      throw new MusterError('INTERNAL', `the keys of ${what} are out of order: ${key} stands behind ${before}`);
    yield key;
    before = key;
  }
  return undefined;
}
