import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Upstream } from './settings.ts';

/** Address of a database without its password, as it may stand in messages and evidence. */
export interface DatabaseAddress {
  host: string;
  port: number;
  user: string;
  database: string;
}

/** Parses `postgres://user:password@host:port/database`. Throws CONFIG_INVALID; the message never holds the url. */
export function parseDatabaseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (
    parsed === null ||
    !/^postgres(ql)?:$/.test(parsed.protocol) ||
    parsed.hostname === '' ||
    parsed.username === ''
  ) {
    throw new MusterError(
      'CONFIG_INVALID',
      'a database url must look like postgres://user:password@host:port/database',
    );
  }
  return parsed;
}

export function addressOf(url: string): DatabaseAddress {
  const parsed = parseDatabaseUrl(url);
  const user = decodeURIComponent(parsed.username);
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: Number(parsed.port || 5432),
    user,
    database: decodeURIComponent(parsed.pathname.slice(1)) || user,
  };
}

/** `host:port` of a database, for messages. */
export function placeOf(url: string): string {
  const { host, port } = addressOf(url);
  return `${host}:${port}`;
}

/** The same server under another database name. */
export function withDatabase(url: string, database: string): string {
  const parsed = parseDatabaseUrl(url);
  parsed.pathname = `/${encodeURIComponent(database)}`;
  return parsed.href;
}

/** `primary_conninfo` for a standby: short limits, the password in a file of its own so that no setting shows it. */
export function conninfoOf(upstream: Upstream, passFile: string): string {
  const { host, port, user } = addressOf(upstream.url);
  const fields: Record<string, string> = {
    ...Object.fromEntries(parseDatabaseUrl(upstream.url).searchParams),
    host,
    port: String(port),
    user,
    passfile: passFile,
    application_name: upstream.applicationName,
    connect_timeout: '2',
    keepalives_idle: '2',
    keepalives_interval: '1',
    keepalives_count: '3',
    tcp_user_timeout: '3000',
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}='${value.replace(/[\\']/g, '\\$&')}'`)
    .join(' ');
}

/** Line of a password file for one server (libpq's `host:port:database:user:password`). */
export function passwordLine(url: string): string {
  const { host, port, user } = addressOf(url);
  const password = decodeURIComponent(parseDatabaseUrl(url).password);
  const escaped = [host, String(port), '*', user, password].map((part) => part.replace(/[\\:]/g, '\\$&'));
  return `${escaped.join(':')}\n`;
}
