import v8 from 'node:v8';

/** The young generation of the main thread may take this much; measured: no slower than all that V8 would take. */
const mostBytes = 16 * 2 ** 20;
const lookEveryMs = 50;

/**
 * Keeps the young generation from growing any further once it is large enough: in a process that lives for one command
 * V8 lets it grow to 128 MiB before it looks for what can go. The size cannot be set after the start, the factor of
 * growth can.
 */
export function boundYoungGeneration(): void {
  const looking = setInterval(() => {
    const young = v8.getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    if (young !== undefined && young.physical_space_size < mostBytes) return;
    v8.setFlagsFromString('--semi-space-growth-factor=1');
    clearInterval(looking);
  }, lookEveryMs);
  looking.unref();
}
