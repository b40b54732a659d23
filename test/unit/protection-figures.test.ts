import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { ArchiveWalProgress } from '../../activities/protection/archive-wal.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import type { Ledger } from '../../worker/ledger/ledger.ts';
import { watchProtection } from '../../worker/protection-watch.ts';
import { createWalGauges, showWalArchive } from '../../worker/wal-archive-watch.ts';
import { pressingText } from '../../cli/findings.ts';
import { walLines } from '../../cli/backups/wal-text.ts';
import type { WalArchive } from '../../worker/wal-archives.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';

test('every figure of protection stands in docs/protection.md', async () => {
  const registry = new Registry();
  createWalGauges(registry);
  const estate = parseEstate(estateText({ backups: [] }, {}), 'muster.yaml', testCatalogue);
  const watches = watchProtection({ estate, ledger: {} as Ledger, registry, stateDir: '/nowhere' });
  for (const watch of watches) await watch.stop();
  const page = readFileSync(path.join(import.meta.dirname, '../../docs/protection.md'), 'utf8');
  const names = registry.getMetricsAsArray().map(({ name }) => name);
  assert.ok(names.length >= 15, names.join(' '));
  assert.deepEqual(
    names.filter((name) => !page.includes(`\`${name}\``)),
    [],
  );
});

const told: ArchiveWalProgress = {
  ...{ state: 'streaming', systemId: '1', timeline: 2, receivedLsn: '0/5000100', safeLsn: '0/5000000' },
  ...{ serverLsn: '0/5000200', lagBytes: 256, replyAgeMs: 5, archivedSegments: 4, waitingSegments: 1 },
  ...{ syncState: 'async', gaps: [], problem: null },
};
const seen = (now: Partial<ArchiveWalProgress> | null, more: Partial<WalArchive> = {}): WalArchive => ({
  ...{ service: 'shop', resource: 'orders', vault: 'vault', synchronous: false, phase: 'archiving', lastFailure: null },
  ...{ now: now === null ? null : { ...told, ...now }, ...more },
});

const archives: { name: string; it: WalArchive; figures: Record<string, number>; says: RegExp[] }[] = [
  {
    name: 'that streams',
    it: seen({}),
    figures: { streaming: 1, lag_bytes: 256, waiting_segments: 1, gaps: 0, synchronous: 0 },
    says: [/^WAL streaming, timeline 2, in the vault up to 0\/5000000, 256 B not received$/],
  },
  {
    name: 'for which commits wait',
    it: seen({ syncState: 'quorum' }, { synchronous: true }),
    figures: { streaming: 1, lag_bytes: 256, waiting_segments: 1, gaps: 0, synchronous: 1 },
    says: [/, commits wait for it$/],
  },
  {
    name: 'for which commits should wait and do not',
    it: seen({}, { synchronous: true }),
    figures: { streaming: 1, lag_bytes: 256, waiting_segments: 1, gaps: 0, synchronous: 0 },
    says: [/^WAL streaming/, /^commits do not wait for it \(the server says async\): .*synchronous_standby_names$/],
  },
  {
    name: 'with a gap, whose server is away',
    it: seen({ state: 'waiting', lagBytes: null, gaps: ['0001 has been removed'], problem: 'no answer' }),
    figures: { streaming: 0, waiting_segments: 1, gaps: 1, synchronous: 0 },
    says: [/^WAL waiting, .*, unknown how far behind$/, /^tried again: no answer$/, /^gap 0001 has been removed; take/],
  },
  {
    name: 'of which nobody tells',
    it: seen(null, { phase: 'waiting', lastFailure: 'the vault is away' }),
    figures: { streaming: 0 },
    says: [/^WAL waiting: nobody archives it at the moment, after: the vault is away$/],
  },
  { name: 'that is paused', it: seen(null, { phase: 'paused' }), figures: { streaming: 0 }, says: [/^WAL paused/] },
  {
    name: 'that nobody has started',
    it: seen(null, { phase: 'not running' }),
    figures: { streaming: 0 },
    says: [/^WAL is not archived: muster apply starts it$/],
  },
];

for (const { name, it, figures, says } of archives)
  test(`an archive of WAL ${name} is shown as that, and what is not known is absent`, async () => {
    const registry = new Registry();
    const gauges = createWalGauges(registry);
    // What was known before must not stay.
    showWalArchive(gauges, seen({ lagBytes: 99, waitingSegments: 99 }));
    showWalArchive(gauges, it);
    const found = (await registry.getMetricsAsJSON()).flatMap(({ name: full, values }) =>
      values.map(({ value }) => [full.replace('dr_wal_archive_', ''), value] as const),
    );
    assert.deepEqual(Object.fromEntries(found), figures);
    const lines = walLines(it);
    assert.equal(lines.length, says.length, lines.join('\n'));
    for (const [at, line] of lines.entries()) assert.match(line, says[at]!);
  });

test('of what was found, the status counts what presses', () => {
  const found = (...severities: ('note' | 'warning' | 'critical')[]) =>
    severities.map((severity) => ({ service: 'shop', runId: null, stepId: null, severity, what: 'x', atMs: 1 }));
  assert.equal(pressingText(found('critical', 'note', 'warning', 'critical', 'warning')), '2 critical, 2 warnings');
  assert.equal(pressingText(found('warning')), '1 warning');
  assert.equal(pressingText(found('note')), '');
});
