import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';

/** Ports given out by this process, whose server may not have opened them yet. */
const givenOut = new Set<string>();
const triesAfterDefault = 200;
/**
 * Where ports without a default come from: below those that systems give to outgoing connections (from 32768 on Linux,
 * from 49152 on macOS), one of which could otherwise take the port before its server opens it, or between two lives.
 */
const anyFrom = 20_000;
const anyTo = 32_000;

/**
 * The default port if it is free at that address, else the next free one; 0 is for any. A port is given out once per
 * process until it is returned, so that servers that start side by side do not meet.
 */
export async function freePort(host: string, defaultPort: number): Promise<number> {
  for (let i = 0; i < triesAfterDefault; i++) {
    const wanted = defaultPort === 0 ? randomInt(anyFrom, anyTo) : defaultPort + i;
    if (!take(host, wanted)) continue;
    const port = await tryPort(host, wanted);
    if (typeof port === 'number') return port;
    returnPort(host, wanted);
  }
  const tried = defaultPort === 0 ? [anyFrom, anyTo - 1] : [defaultPort, defaultPort + triesAfterDefault - 1];
  throw new Error(`no free port at ${host} from ${tried.join(' to ')}`);
}

function take(host: string, port: number): boolean {
  const key = `${host}:${port}`;
  if (port > 65535 || givenOut.has(key)) return false;
  givenOut.add(key);
  return true;
}

/** Takes a port back when its server is gone or was never started. */
export function returnPort(host: string, port: number): void {
  givenOut.delete(`${host}:${port}`);
}

/** The port that a server could listen on there now; `no-address` when this machine does not have the address. */
export function tryPort(host: string, port: number): Promise<number | 'taken' | 'no-address'> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (err: NodeJS.ErrnoException) => {
      resolve(err.code === 'EADDRNOTAVAIL' ? 'no-address' : 'taken');
    });
    server.listen({ host, port, exclusive: true }, () => {
      const { port: free } = server.address() as AddressInfo;
      server.close(() => resolve(free));
    });
  });
}
