import { MusterError } from '../../../workflows/engine/errors.ts';
import type { ListedObject, ObjectClient } from '../../objects/types.ts';

/** All keys below a prefix, in the store's order. */
export async function* objectsBelow(client: ObjectClient, prefix: string): AsyncGenerator<ListedObject> {
  let continuation: string | undefined;
  do {
    const page = await client.list({ prefix, ...(continuation !== undefined && { continuation }) });
    yield* page.objects;
    continuation = page.continuation;
  } while (continuation !== undefined);
}

/** What is not there is an answer here, not a failure. */
export async function orNull<Answer>(call: Promise<Answer>): Promise<Answer | null> {
  try {
    return await call;
  } catch (err) {
    if (err instanceof MusterError && err.code === 'OBJECT_UNKNOWN') return null;
    throw err;
  }
}
