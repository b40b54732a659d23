/**
 * A copy of a message, as the other side of a network gets it: it shares no bytes with what was sent. Functions are left
 * out, for no network carries them.
 */
export function copyMessage<T>(message: T): T {
  return copy(message) as T;
}

function copy(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(copy);
  if (typeof value !== 'object' || value === null) return value;
  const copied: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) {
    if (typeof part !== 'function') copied[name] = copy(part);
  }
  return copied;
}
