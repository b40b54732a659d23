import type { Client } from '@temporalio/client';
import { Gauge, type Registry } from 'prom-client';
import type { Estate } from '../runbooks/estate.ts';
import { compileProtection } from '../runbooks/protection.ts';
import { every, type Repeating } from './every.ts';
import { readWalArchive, type WalArchive } from './wal-archives.ts';

const everyMs = 5_000;

export interface WalArchiveWatchDeps {
  estate: Estate;
  registry: Registry;
  client: () => Promise<Client>;
}

/** Exports how far the archives of WAL are that the estate asks for. A figure that is not known is absent, never 0. */
export function watchWalArchives({ estate, registry, client }: WalArchiveWatchDeps): Repeating {
  const { walArchives } = compileProtection(estate);
  const gauges = createWalGauges(registry);
  const look = async (): Promise<void> => {
    const temporal = await client();
    for (const ordered of walArchives) showWalArchive(gauges, await readWalArchive(temporal, ordered, Date.now()));
  };
  return every(everyMs, look, () => {
    for (const gauge of Object.values(gauges)) gauge.reset();
  });
}

export type WalGauges = ReturnType<typeof createWalGauges>;

export function createWalGauges(registry: Registry) {
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({
      ...{ name: `dr_wal_archive_${name}`, help },
      ...{ labelNames: ['service', 'resource', 'vault'], registers: [registry] },
    });
  return {
    streaming: gauge('streaming', '1 while WAL streams into the vault, else 0'),
    lagBytes: gauge('lag_bytes', 'WAL of the server that the archive has not received'),
    waiting: gauge('waiting_segments', 'Segments received and not in the vault yet'),
    gaps: gauge('gaps', 'Pieces of WAL the server had removed before they were archived, the last ten at most'),
    synchronous: gauge('synchronous', '1 when the server says that commits wait for the archive'),
  };
}

export function showWalArchive(gauges: WalGauges, { service, resource, vault, now }: WalArchive): void {
  const labels = { service, resource, vault };
  gauges.streaming.set(labels, now?.state === 'streaming' ? 1 : 0);
  const values: [Gauge, number | null][] = [
    [gauges.lagBytes, now?.lagBytes ?? null],
    [gauges.waiting, now?.waitingSegments ?? null],
    [gauges.gaps, now?.gaps.length ?? null],
    [gauges.synchronous, now === null ? null : Number(now.syncState === 'sync' || now.syncState === 'quorum')],
  ];
  for (const [gauge, value] of values) {
    if (value === null) gauge.remove(labels);
    else gauge.set(labels, value);
  }
}
