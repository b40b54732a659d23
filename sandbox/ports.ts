import { createServer } from 'node:net';

/** Ports given out by this process, whose server may not have opened them yet. */
const givenOut = new Set<string>();
const triesAfterDefault = 200;

/**
 * The default port if it is free at that address, else the next free one. A port is given out once per process, so that
 * servers that start side by side do not meet.
 */
export async function freePort(host: string, defaultPort: number): Promise<number> {
  for (let port = defaultPort; port < defaultPort + triesAfterDefault && port < 65536; port++) {
    const key = `${host}:${port}`;
    if (givenOut.has(key)) continue;
    givenOut.add(key);
    if ((await tryPort(host, port)) === 'free') return port;
    givenOut.delete(key);
  }
  throw new Error(`no free port at ${host} from ${defaultPort} to ${defaultPort + triesAfterDefault - 1}`);
}

/** Takes a port back that is not needed any more. */
export function returnPort(host: string, port: number): void {
  givenOut.delete(`${host}:${port}`);
}

/** Whether a server could listen there now: `no-address` when this machine does not have the address. */
export function tryPort(host: string, port: number): Promise<'free' | 'taken' | 'no-address'> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (err: NodeJS.ErrnoException) =>
      resolve(err.code === 'EADDRNOTAVAIL' ? 'no-address' : 'taken'),
    );
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('free')));
  });
}
