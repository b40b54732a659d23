import type { FileText } from '../repository/go-text.ts';

/** A path as the file system has it: text, or bytes where they are no UTF-8. */
export type RawPath = FileText;

/** What `node:fs` takes. */
export function forFs(path: RawPath): string | Buffer {
  return typeof path === 'string' ? path : Buffer.from(path.buffer, path.byteOffset, path.byteLength);
}

export function joinRaw(directory: RawPath, name: RawPath): RawPath {
  if (typeof directory === 'string' && typeof name === 'string') {
    return directory.endsWith('/') ? directory + name : `${directory}/${name}`;
  }
  return Buffer.concat([bytesOf(directory), Buffer.from('/'), bytesOf(name)]);
}

/** For people: what is no UTF-8 shows as replacement characters. */
export function shown(path: RawPath): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}

/** One character a byte: what is the same for the same path, whatever its bytes are. */
export function byteKey(path: RawPath): string {
  return bytesOf(path).toString('latin1');
}

function bytesOf(path: RawPath): Buffer {
  return typeof path === 'string' ? Buffer.from(path) : (forFs(path) as Buffer);
}
