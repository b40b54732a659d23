import { randomInt } from 'node:crypto';
import { freePort, tryPort } from '../../sandbox/ports.ts';

/** A port of the loopback for a server of a test; none that an outgoing connection could take meanwhile. */
export function anyPort(): Promise<number> {
  return freePort('127.0.0.1', 0);
}

/** Ports for clients of storage nodes in a row, with those for the nodes a thousand above, at all these addresses. */
export async function portsInARow(count: number, hosts: readonly string[] = ['127.0.0.1']): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const first = randomInt(10_000, 30_000);
    const wanted = Array.from({ length: count }, (_, i) => [first + i, first + i + 1000]).flat();
    const found = await Promise.all(wanted.flatMap((port) => hosts.map((host) => tryPort(host, port))));
    if (found.every((port) => typeof port === 'number')) return first;
  }
  throw new Error('no free ports');
}
