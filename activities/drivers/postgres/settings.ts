import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { giveToOwner } from './owner.ts';
import { conninfoOf, passwordLine } from './conninfo.ts';

/** Where a standby streams from. */
export interface Upstream {
  /** `postgres://user:password@host:port/` of the server to follow. */
  url: string;
  /** Replication slot on that server. */
  slot: string;
  /** Name under which the standby shows in the other's `pg_stat_replication`. */
  applicationName: string;
}

/** What Muster decides about a server. Durability (fsync, full_page_writes) is not among it: it is always on. */
export interface ServerSettings {
  /** Addresses to listen on. */
  host: string;
  port: number;
  /** The server to follow when this one is a standby; kept on a primary too, where it has no effect. */
  upstream?: Upstream | null;
  sharedBuffersMb?: number;
  maxConnections?: number;
  /** e.g. `*`: commits wait for one standby. Suspended by a promotion until replication runs again. */
  synchronousStandbyNames?: string;
  walKeepMb?: number;
  maxSlotWalKeepMb?: number;
  /** Further settings, e.g. `{ work_mem: '8MB' }`. */
  extra?: Record<string, string>;
}

/** Directory beside the data directory for what a rewind or a clone must not overwrite: configuration, password file, log. */
export function configDir(dataDir: string): string {
  return `${dataDir}.conf`;
}

export function logFile(dataDir: string): string {
  return path.join(configDir(dataDir), 'server.log');
}

/**
 * Settings of every server, with the reason where it is not plain:
 * a lost upstream is tried again after 200 ms (default 5 s made 3 of 11 promotions take 5 s), a silent one is given up
 * after 3 s, hint bits are logged so that pg_rewind works, commit timestamps date the rows of a conflict set.
 */
function fixedSettings(): Record<string, string> {
  return {
    unix_socket_directories: '',
    fsync: 'on',
    full_page_writes: 'on',
    hot_standby: 'on',
    hot_standby_feedback: 'on',
    wal_level: 'replica',
    wal_log_hints: 'on',
    max_wal_senders: '10',
    max_replication_slots: '10',
    wal_retrieve_retry_interval: '200ms',
    wal_receiver_status_interval: '1s',
    wal_receiver_timeout: '3s',
    wal_sender_timeout: '5s',
    track_commit_timestamp: 'on',
    recovery_target_timeline: 'latest',
    tcp_keepalives_idle: '2',
    tcp_keepalives_interval: '1',
    tcp_keepalives_count: '3',
    log_destination: 'stderr',
    logging_collector: 'off',
    log_line_prefix: '%m [%p] ',
    lc_messages: 'C',
    // The server syncs a copied data directory itself before it recovers; one call instead of one per file.
    ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
  };
}

function chosenSettings(settings: ServerSettings, passFile: string): Record<string, string> {
  return {
    listen_addresses: settings.host,
    port: String(settings.port),
    shared_buffers: `${settings.sharedBuffersMb ?? 128}MB`,
    max_connections: String(settings.maxConnections ?? 100),
    synchronous_standby_names: settings.synchronousStandbyNames ?? '',
    wal_keep_size: `${settings.walKeepMb ?? 256}MB`,
    max_slot_wal_keep_size: `${settings.maxSlotWalKeepMb ?? 4096}MB`,
    primary_conninfo: settings.upstream ? conninfoOf(settings.upstream, passFile) : '',
    primary_slot_name: settings.upstream?.slot ?? '',
    ...settings.extra,
  };
}

/** Renders the configuration of one server and returns the file to start it with. The data directory's own file is read first, so what Muster does not decide stays as it was. */
export async function renderSettings(dataDir: string, settings: ServerSettings): Promise<string> {
  const dir = configDir(dataDir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await giveToOwner(dir);
  const passFile = path.join(dir, 'pgpass');
  await writeOwned(passFile, settings.upstream ? passwordLine(settings.upstream.url) : '');
  const own = { ...fixedSettings(), ...chosenSettings(settings, passFile) };
  const lines = [
    '# Written by Muster at each start. Your own settings belong in the data directory.',
    `include_if_exists ${quoted(path.join(dataDir, 'postgresql.conf'))}`,
    ...Object.entries(own).map(([name, value]) => `${name} = ${quoted(value)}`),
    '',
  ];
  const file = path.join(dir, 'postgresql.conf');
  await writeOwned(file, lines.join('\n'));
  return file;
}

/**
 * Makes `postgresql.auto.conf` (which outranks everything else, and which a clone or rewind copies from the other
 * server) say nothing about what Muster decides. With `closed`, new sessions are read-only from the first moment.
 */
export async function cleanAutoSettings(dataDir: string, options: { closed: boolean }): Promise<void> {
  const file = path.join(dataDir, 'postgresql.auto.conf');
  const owned = new Set([
    ...Object.keys(fixedSettings()),
    ...Object.keys(chosenSettings({ host: '', port: 0 }, '')),
    ...(options.closed ? ['default_transaction_read_only'] : []),
  ]);
  const before = existsSync(file) ? await readFile(file, 'utf8') : '';
  const kept = before.split('\n').filter((line) => !owned.has(line.split('=')[0]?.trim() ?? ''));
  if (options.closed) kept.push("default_transaction_read_only = 'on'", '');
  await writeOwned(file, kept.join('\n'));
}

/** Writes a file for the server's owner only, whole or not at all. */
export async function writeOwned(file: string, text: string): Promise<void> {
  const partial = `${file}.partial`;
  await writeFile(partial, text, { mode: 0o600 });
  await giveToOwner(partial);
  await rename(partial, file);
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
