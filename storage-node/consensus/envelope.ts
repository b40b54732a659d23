/**
 * The state of a register as drives keep it: the ids of the newest operations that made it, then the value.
 *
 * A proposer that was outbid after its accepts went out must know whether its operation took effect through somebody
 * else's round before it tries again: applying it twice would break the order of the key, and answering "unknown"
 * each time would be useless. The ids tell it, as long as not more than `rememberedOperations` others came between.
 */
export const operationIdBytes = 8;
const rememberedOperations = 8;

export interface Envelope {
  /** Hex ids, newest first. */
  operations: string[];
  value: Uint8Array;
}

export function openEnvelope(state: Uint8Array): Envelope {
  const count = state.length === 0 ? 0 : state[0]!;
  const operations: string[] = [];
  for (let i = 0; i < count; i++) {
    const at = 1 + i * operationIdBytes;
    operations.push(hex(state.subarray(at, at + operationIdBytes)));
  }
  return { operations, value: valueOf(state) };
}

/** Whether a state surely came to be from an older one; false also when too many operations lie between to tell. */
export function isBuiltOn(state: Uint8Array, older: Uint8Array): boolean {
  const made = openEnvelope(older).operations[0];
  return made !== undefined && openEnvelope(state).operations.includes(made);
}

/** The value alone, without reading the ids: a view, not a copy. */
export function valueOf(state: Uint8Array): Uint8Array {
  return state.length === 0 ? state : state.subarray(valueStartIn(state, 0));
}

/** Where the value begins of a state that lies at `at` and is not empty. */
export function valueStartIn(bytes: Uint8Array, at: number): number {
  return at + 1 + bytes[at]! * operationIdBytes;
}

/** A state that is nothing but its value, for places where no operation is asked after. */
export function bareEnvelope(value: Uint8Array): Uint8Array {
  const state = Buffer.allocUnsafe(1 + value.length);
  state[0] = 0;
  state.set(value, 1);
  return state;
}

/** Puts an operation before those of the state it changes. */
export function sealEnvelope(operation: string, before: readonly string[], value: Uint8Array): Uint8Array {
  const operations = [operation, ...before.slice(0, rememberedOperations - 1)];
  const sealed = Buffer.allocUnsafe(1 + operations.length * operationIdBytes + value.length);
  sealed[0] = operations.length;
  operations.forEach((id, i) => sealed.write(id, 1 + i * operationIdBytes, 'hex'));
  sealed.set(value, 1 + operations.length * operationIdBytes);
  return sealed;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
