import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the young generation of V8 small: a mover's garbage is short-lived pages, and V8 would rather take more memory
 * than look through it often. Measured over a million keys: 130 MiB less, a few per cent more CPU. For programs that do
 * nothing else; call it before the work begins.
 */
export function keepHeapLean(): void {
  setFlagsFromString('--max-semi-space-size=2');
  setFlagsFromString('--semi-space-growth-factor=1');
}
