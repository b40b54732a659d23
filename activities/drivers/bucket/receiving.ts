import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { leaseNodes, objectCall, readSite, setSite, type Limit, type SiteView } from './cluster.ts';
import type { BucketSite } from './config.ts';

/**
 * How a standby's cluster takes copies. Its site is put under leases at the epoch of the writer, and the replication,
 * nobody else, gives its nodes one for a few seconds at a time: without it they take no write. A promotion raises the
 * epoch, from which moment such a lease counts for nothing. An object marks the site as one that receives, so that its
 * guard does not take it for a writer.
 */
const markKey = '.muster/receives';
const mark = z.object({ epoch: z.int() });

/** A lease runs so long beyond its last renewal. */
const leaseMs = 4_000;
const renewMs = 1_000;
const callMs = 1_000;

/** Whether a site's cluster is open for copies only at this epoch. @throws MusterError STORAGE_UNREACHABLE */
export async function receivesAt(site: BucketSite, epoch: number, limit: Limit): Promise<boolean> {
  const { status, text } = await objectCall(site, { method: 'GET', key: markKey }, limit);
  if (status === 404) return false;
  const read = mark.safeParse(status === 200 ? jsonOf(text) : null);
  if (!read.success) throw new MusterError('STORAGE_UNREACHABLE', `${markKey} at ${site.site} cannot be read`);
  return read.data.epoch === epoch;
}

export interface Receiving {
  /** Resolves when the standby takes copies for the first time. */
  ready: Promise<void>;
  /** Rejects with EPOCH_STALE when the standby is at a newer epoch, resolves when it was ended. */
  finished: Promise<void>;
}

/** Keeps a standby open for copies until the signal is aborted. A cluster that is away is asked again and again. */
export function keepReceiving(site: BucketSite, epoch: number, signal: AbortSignal): Receiving {
  let isReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => (isReady = resolve));
  return { ready, finished: keep(site, { epoch, isReady, signal }) };
}

async function keep(
  site: BucketSite,
  { epoch, isReady, signal }: { epoch: number; isReady: () => void; signal: AbortSignal },
): Promise<void> {
  let marked = false;
  while (!signal.aborted) {
    try {
      await receive(site, epoch, signal);
      if (!marked) await writeMark(site, epoch, signal);
      marked = true;
      isReady();
    } catch (err) {
      if (signal.aborted) return;
      if (toMusterError(err).code === 'EPOCH_STALE') throw err;
    }
    await sleep(marked ? renewMs : renewMs / 4, undefined, { signal }).catch(() => undefined);
  }
}

async function receive(site: BucketSite, epoch: number, signal: AbortSignal): Promise<void> {
  const limit = { timeoutMs: callMs, signal };
  const view = await readSite(site, limit);
  if (view.epoch > epoch) throw stale(site, view, epoch);
  if (view.fenced || !view.leased || view.epoch < epoch) await setSite(site, { epoch, fenced: false }, limit);
  const lease = { epoch, forMs: leaseMs, untilUnixMs: Date.now() + leaseMs };
  const answers = await leaseNodes(site, lease, { ...limit, graceMs: 60 });
  const held = answers.filter(({ kind }) => kind === 'held').length;
  if (held * 2 <= answers.length) {
    throw new MusterError('STORAGE_UNREACHABLE', `the storage cluster of ${site.site} takes no lease for copies`);
  }
}

async function writeMark(site: BucketSite, epoch: number, signal: AbortSignal): Promise<void> {
  const body = Buffer.from(JSON.stringify({ epoch }));
  const { status, text } = await objectCall(site, { method: 'PUT', key: markKey, body }, { timeoutMs: callMs, signal });
  if (status !== 200) throw new MusterError('STORAGE_UNREACHABLE', `${markKey} at ${site.site}: ${text.slice(0, 200)}`);
}

function stale({ site, bucket }: BucketSite, view: SiteView, epoch: number): MusterError {
  return new MusterError(
    'EPOCH_STALE',
    `${bucket} at ${site} is at epoch ${view.epoch}; copies come from epoch ${epoch}`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
