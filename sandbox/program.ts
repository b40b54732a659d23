import { MusterError } from '../workflows/engine/errors.ts';

/** A setting of a sandbox program. @throws MusterError CONFIG_INVALID naming it when it is not there */
export function setting(name: string, fallback?: string): string {
  const value = process.env[name] ?? fallback;
  if (value === undefined || value === '') throw new MusterError('CONFIG_INVALID', `${name} is not set`);
  return value;
}

/** `host:port` */
export function endpointSetting(name: string): { host: string; port: number } {
  const value = setting(name);
  const at = value.lastIndexOf(':');
  const port = Number(value.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65535) {
    throw new MusterError('CONFIG_INVALID', `${name} is no host:port`);
  }
  return { host: value.slice(0, at), port };
}

/** Says that the program is up, and ends it in order when asked to. */
export function announceReady(facts: Record<string, unknown>, end: () => Promise<unknown>): void {
  let ending = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      void end().finally(() => process.exit(0));
    });
  }
  process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`);
}
