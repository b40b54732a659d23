import { createServer, type AddressInfo } from 'node:net';

/** Ports given out by this process, whose server may not have opened them yet. */
const givenOut = new Set<string>();
const triesAfterDefault = 200;

/**
 * The default port if it is free at that address, else the next free one; 0 lets the system choose. A port is given out
 * once per process until it is returned, so that servers that start side by side do not meet.
 */
export async function freePort(host: string, defaultPort: number): Promise<number> {
  for (let i = 0; i < triesAfterDefault; i++) {
    const wanted = defaultPort === 0 ? 0 : defaultPort + i;
    if (wanted !== 0 && !take(host, wanted)) continue;
    const port = await tryPort(host, wanted);
    if (typeof port === 'number' && (wanted !== 0 || take(host, port))) return port;
    returnPort(host, wanted);
  }
  throw new Error(`no free port at ${host} from ${defaultPort} to ${defaultPort + triesAfterDefault - 1}`);
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
