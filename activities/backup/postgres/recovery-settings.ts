import type { ServerSettings } from '../../drivers/postgres/settings.ts';
import type { ControlSettings } from './control-settings.ts';
import { targetSettings, type RecoveryTarget } from './recovery-target.ts';

export interface RecoverySettings {
  port: number;
  socketDir: string;
  /** For `restore_command`. */
  fetchCommand: string;
  target: RecoveryTarget;
  timeline: number;
  action: 'promote' | 'pause';
  /** Of the server the backup is of. */
  control: ControlSettings;
  /** Further settings; they win. */
  extra: Record<string, string>;
}

/**
 * Settings of a recovered server: alone on the loopback, archives nothing (its timeline would poison the archive),
 * follows nobody, subscribes to nothing, loads no library that may be missing here.
 */
export function recoverySettings(given: RecoverySettings): ServerSettings {
  const { control } = given;
  const isPaused = given.action === 'pause';
  return {
    host: '127.0.0.1',
    port: given.port,
    upstream: null,
    maxConnections: Math.max(control.max_connections, 20),
    extra: {
      unix_socket_directories: given.socketDir,
      unix_socket_permissions: '0700',
      ...isolation,
      max_worker_processes: String(Math.max(control.max_worker_processes, 8)),
      max_wal_senders: String(Math.max(control.max_wal_senders, 0)),
      max_prepared_transactions: String(control.max_prepared_transactions),
      max_locks_per_transaction: String(control.max_locks_per_transaction),
      track_commit_timestamp: control.track_commit_timestamp ? 'on' : 'off',
      // Open for readers only where it is to stop there: then it must match the source's settings, which may change on the way.
      hot_standby: isPaused ? 'on' : 'off',
      restore_command: given.fetchCommand,
      recovery_target_action: given.action,
      ...targetSettings(given.target, given.timeline),
      // Times in the log are read.
      timezone: 'UTC',
      log_timezone: 'UTC',
      datestyle: 'ISO',
      log_min_messages: 'warning',
      ...given.extra,
    },
  };
}

const isolation: Record<string, string> = {
  archive_mode: 'off',
  archive_command: '',
  primary_conninfo: '',
  primary_slot_name: '',
  shared_preload_libraries: '',
  session_preload_libraries: '',
  local_preload_libraries: '',
  max_logical_replication_workers: '0',
  ssl: 'off',
  synchronous_standby_names: '',
  max_slot_wal_keep_size: '64MB',
  wal_keep_size: '0',
};
