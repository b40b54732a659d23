import { tryPort } from './ports.ts';

/** The two sites of the sandbox, and the place apart from both. */
export const sites = ['hangzhou', 'beijing'] as const;
export type Site = (typeof sites)[number];
export type Place = 'control' | Site;

export const otherSite = (site: Site): Site => (site === 'hangzhou' ? 'beijing' : 'hangzhou');

/**
 * A loopback address for each place. Linux answers to all of 127.0.0.0/8; where the system knows 127.0.0.1 only, all
 * places share it and differ by port.
 */
export async function placeAddresses(): Promise<Record<Place, string>> {
  const wanted: Record<Place, string> = { control: '127.0.0.1', hangzhou: '127.0.1.1', beijing: '127.0.2.1' };
  const tried = await Promise.all(sites.map((site) => tryPort(wanted[site], 0)));
  if (tried.every((answer) => typeof answer === 'number')) return wanted;
  return { control: '127.0.0.1', hangzhou: '127.0.0.1', beijing: '127.0.0.1' };
}
