import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { readPages } from '../compare/pages.ts';
import { type Side } from '../side.ts';

/** What a listing says of a whole side, in one value: names, ETags, sizes and times. */
export async function printOfSide(side: Side, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const pages = readPages({ side, after: '', versions: false, ...(signal === undefined ? {} : { signal }) });
  for (let page = await pages.next(); page !== undefined; page = await pages.next())
    for (const { key, etag, sizeBytes, lastModifiedMs } of page)
      hash.update(`${key}\0${etag}\0${sizeBytes}\0${lastModifiedMs}\n`);
  return hash.digest('hex');
}

/** Whether nothing was written to a side for so long: two listings are alike. Says nothing of what comes after. */
export async function staysStill(side: Side, forMs: number, signal?: AbortSignal): Promise<boolean> {
  const before = await printOfSide(side, signal);
  await sleep(forMs, undefined, signal === undefined ? {} : { signal });
  return (await printOfSide(side, signal)) === before;
}
