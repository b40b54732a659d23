import { MusterError } from '../../../workflows/engine/errors.ts';

/** The source is not what was listed any more. */
export class SourceChanged extends MusterError {
  constructor(cause: MusterError) {
    super('OBJECT_CHANGED', cause.message, { cause });
  }
}

/** Somebody wrote to the target since it was looked at; nothing was overwritten. */
export class TargetChanged extends MusterError {
  constructor(cause: MusterError) {
    super('OBJECT_CHANGED', cause.message, { cause });
  }
}

/** At the source something is missing or refused: the target's like failures mean something else. */
export async function fromSource<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (err) {
    if (err instanceof MusterError && err.code === 'OBJECT_CHANGED' && !(err instanceof TargetChanged))
      throw err instanceof SourceChanged ? err : new SourceChanged(err);
    throw sided(err, 'source');
  }
}

export async function fromTarget<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (err) {
    // A body that could not be read fails the write it was meant for: that is the source's word.
    const read = readFailure(err);
    if (read !== undefined) throw read;
    if (err instanceof MusterError && err.code === 'OBJECT_CHANGED') throw new TargetChanged(err);
    throw sided(err, 'target');
  }
}

/** A failure of the source inside the body of a write. */
export class BodyFailure extends Error {
  override readonly cause: MusterError;
  constructor(cause: MusterError) {
    super(cause.message);
    this.cause = cause;
  }
}

function readFailure(err: unknown): MusterError | undefined {
  for (let at: unknown = err; at instanceof Error; at = at.cause) {
    if (at instanceof BodyFailure) return at.cause;
    if (at instanceof SourceChanged) return at;
  }
  return undefined;
}

const sides = new WeakMap<object, 'source' | 'target'>();

function sided(err: unknown, side: 'source' | 'target'): unknown {
  if (typeof err === 'object' && err !== null && !sides.has(err)) sides.set(err, side);
  return err;
}

/** Which side a failure came from, where that is known. */
export function sideOf(err: unknown): 'source' | 'target' | undefined {
  return typeof err === 'object' && err !== null ? sides.get(err) : undefined;
}
