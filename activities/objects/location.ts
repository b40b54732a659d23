import { homedir } from 'node:os';
import path from 'node:path';
import { MusterError } from '../../workflows/engine/errors.ts';
import { type Env } from './credentials.ts';
import { type CredentialSource, type ObjectPlace } from './place.ts';
import { type ProfileFiles, readProfile } from './profile.ts';

/**
 * Reads `s3://bucket/prefix?options` and `oss://bucket/prefix?options`. The prefix is taken as it is written, up to the
 * `?`, and gets a `/` behind it; one with odd characters goes into the option `prefix`, percent-encoded.
 *
 * Options: `endpoint`, `region`, `pathStyle` (true | false), `profile`, `caFile`, `credentials` (the first part of the
 * names of the environment variables to read, default AWS for S3), `signPayload`, `connections`, `prefix`.
 *
 * What an option leaves open comes from the environment, by the ecosystem's names: for S3 AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION or AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL,
 * AWS_CA_BUNDLE, AWS_PROFILE with the files in ~/.aws (or AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE); for OSS
 * ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET, ALIBABA_CLOUD_SECURITY_TOKEN, OSS_ENDPOINT, OSS_REGION.
 * With `credentials=SRC` all of it is read from SRC_ACCESS_KEY_ID, SRC_SECRET_ACCESS_KEY (OSS also
 * SRC_ACCESS_KEY_SECRET), SRC_SESSION_TOKEN, SRC_REGION, SRC_ENDPOINT_URL and SRC_CA_BUNDLE and from nowhere else: two
 * places of one command must not mix.
 *
 * @throws MusterError CONFIG_INVALID naming the part and what to write instead, SECRET_MISSING where there are no keys.
 */
export function parseLocation(text: string, env: Env): ObjectPlace {
  const { dialect, bucket, prefix, options } = split(text);
  const settings = settingsOf(dialect, options, env);
  const signPayload = flag(options, 'signPayload');
  const connections = options.get('connections');
  return {
    dialect,
    bucket,
    prefix: options.has('prefix') ? asFolder(options.get('prefix')!) : prefix,
    ...(dialect === 's3' ? s3Address(bucket, options, settings) : ossAddress(options, settings)),
    credentials: settings.credentials,
    ...(settings.caFile === undefined ? {} : { caFile: settings.caFile }),
    ...(signPayload === undefined ? {} : { signPayload }),
    ...(connections === undefined ? {} : { limits: { connections: wholeNumber('connections', connections) } }),
  };
}

/** Whether a text is meant for `parseLocation` and not, say, the name of a directory. */
export function isLocation(text: string): boolean {
  return /^(s3|oss):\/\//i.test(text);
}

const optionNames = [
  ...['endpoint', 'region', 'pathStyle', 'profile', 'caFile', 'credentials', 'signPayload', 'connections', 'prefix'],
];

interface Parts {
  dialect: ObjectPlace['dialect'];
  bucket: string;
  prefix: string;
  options: ReadonlyMap<string, string>;
}

function split(text: string): Parts {
  const match = /^(s3|oss):\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(text);
  if (match === null) throw invalid('the address must read s3://bucket/prefix or oss://bucket/prefix');
  const [, scheme, bucket = '', prefix = '', query = ''] = match;
  if (/[@:]/.test(bucket)) {
    // It may hold a key: nothing of it is repeated.
    throw invalid(
      'keys and ports do not belong into the address: set environment variables, and `?endpoint=` for a host',
    );
  }
  if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i.test(bucket)) {
    throw invalid(`the bucket "${bucket}" is no bucket name: 3 to 63 letters, digits, dots and hyphens`);
  }
  return {
    dialect: scheme!.toLowerCase() as Parts['dialect'],
    bucket,
    prefix: asFolder(prefix),
    options: optionsOf(query),
  };
}

function asFolder(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

function optionsOf(query: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!optionNames.includes(name)) {
      throw invalid(`the option "${name}" is not known: there are ${optionNames.join(', ')}`);
    }
    if (options.has(name)) throw invalid(`the option ${name} is given twice`);
    options.set(name, value);
  }
  return options;
}

/** What environment and profile say, before the options. */
interface Settings {
  credentials: CredentialSource;
  region: string | undefined;
  endpoint: string | undefined;
  caFile: string | undefined;
  pathStyle: boolean | undefined;
}

function settingsOf(dialect: Parts['dialect'], options: Parts['options'], env: Env): Settings {
  const caFile = options.get('caFile');
  if (options.has('profile') && options.has('credentials')) {
    throw invalid('the options profile and credentials exclude each other: leave one out');
  }
  const own = options.get('credentials');
  if (own !== undefined && !/^[A-Z][A-Z0-9_]*$/i.test(own)) {
    throw invalid(`credentials=${own} is no beginning of variable names: write e.g. credentials=SRC`);
  }
  const settings =
    own !== undefined
      ? ownSettings(own, dialect, env)
      : dialect === 's3'
        ? awsSettings(options, env)
        : ossSettings(options, env);
  return { ...settings, caFile: caFile ?? settings.caFile };
}

function firstOf(env: Env, ...names: readonly string[]): string | undefined {
  return names.map((name) => env[name]).find((value) => value !== undefined && value !== '');
}

function ownSettings(own: string, dialect: Parts['dialect'], env: Env): Settings {
  const set = (name: string): boolean => firstOf(env, name) !== undefined;
  const inOss = dialect === 'oss' && !set(`${own}_SECRET_ACCESS_KEY`);
  const secretAccessKey = `${own}_${inOss ? 'ACCESS_KEY_SECRET' : 'SECRET_ACCESS_KEY'}`;
  const sessionToken = `${own}_${dialect === 'oss' && !set(`${own}_SESSION_TOKEN`) ? 'SECURITY_TOKEN' : 'SESSION_TOKEN'}`;
  const source = { kind: 'environment' as const, accessKeyId: `${own}_ACCESS_KEY_ID`, secretAccessKey, sessionToken };
  requireKeys(source, env);
  return {
    credentials: source,
    region: firstOf(env, `${own}_REGION`, `${own}_DEFAULT_REGION`),
    endpoint: firstOf(env, `${own}_ENDPOINT_URL_S3`, `${own}_ENDPOINT_URL`, `${own}_ENDPOINT`),
    caFile: firstOf(env, `${own}_CA_BUNDLE`),
    pathStyle: undefined,
  };
}

function requireKeys(source: CredentialSource & { kind: 'environment' }, env: Env): void {
  for (const name of [source.accessKeyId, source.secretAccessKey]) {
    if (firstOf(env, name) === undefined) {
      throw new MusterError('SECRET_MISSING', `env:${name}: the environment variable is not set`);
    }
  }
}

const awsKeys = {
  kind: 'environment',
  accessKeyId: 'AWS_ACCESS_KEY_ID',
  secretAccessKey: 'AWS_SECRET_ACCESS_KEY',
  sessionToken: 'AWS_SESSION_TOKEN',
} as const;

/** As the `aws` command has it: a profile named on the way counts more than keys in the environment, its default less. */
function awsSettings(options: Parts['options'], env: Env): Settings {
  const named = options.get('profile');
  const folder = path.join(firstOf(env, 'HOME') ?? homedir(), '.aws');
  const files: ProfileFiles = {
    profile: named ?? firstOf(env, 'AWS_PROFILE', 'AWS_DEFAULT_PROFILE') ?? 'default',
    credentialsFile: firstOf(env, 'AWS_SHARED_CREDENTIALS_FILE') ?? path.join(folder, 'credentials'),
    configFile: firstOf(env, 'AWS_CONFIG_FILE') ?? path.join(folder, 'config'),
  };
  const keysInEnv = firstOf(env, awsKeys.accessKeyId) !== undefined;
  const profile = readProfile(files);
  if (named !== undefined && profile === undefined) {
    throw invalid(`profile=${named}: neither ${files.credentialsFile} nor ${files.configFile} names it`);
  }
  const byEnv = named === undefined && (keysInEnv || profile === undefined);
  if (byEnv) requireKeys(awsKeys, env);
  const style = profile?.get('s3.addressing_style');
  return {
    credentials: byEnv ? awsKeys : { kind: 'profile', ...files },
    region: firstOf(env, 'AWS_REGION', 'AWS_DEFAULT_REGION') ?? profile?.get('region'),
    endpoint: firstOf(env, 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL') ?? profile?.get('endpoint_url'),
    caFile: firstOf(env, 'AWS_CA_BUNDLE') ?? profile?.get('ca_bundle'),
    pathStyle: style === undefined || style === 'auto' ? undefined : style === 'path',
  };
}

function ossSettings(options: Parts['options'], env: Env): Settings {
  if (options.has('profile'))
    throw invalid('the option profile is of S3: for OSS set ALIBABA_CLOUD_ACCESS_KEY_ID and so on');
  const source = {
    kind: 'environment' as const,
    accessKeyId: 'ALIBABA_CLOUD_ACCESS_KEY_ID',
    secretAccessKey: 'ALIBABA_CLOUD_ACCESS_KEY_SECRET',
    sessionToken: 'ALIBABA_CLOUD_SECURITY_TOKEN',
  };
  requireKeys(source, env);
  return {
    credentials: source,
    region: firstOf(env, 'OSS_REGION'),
    endpoint: firstOf(env, 'OSS_ENDPOINT'),
    caFile: undefined,
    pathStyle: undefined,
  };
}

type Address = Pick<ObjectPlace, 'region' | 'endpoint' | 'addressing'>;

function s3Address(bucket: string, options: Parts['options'], settings: Settings): Address {
  const region = options.get('region') ?? settings.region ?? 'us-east-1';
  checkRegion(region);
  const given = options.get('endpoint') ?? settings.endpoint;
  const endpoint = origin(given ?? `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`);
  const atAws = /\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
  // A certificate for *.s3... covers no bucket with a dot in its name; other stores often have no names for buckets.
  const pathStyle = flag(options, 'pathStyle') ?? settings.pathStyle ?? (!atAws || bucket.includes('.'));
  return { region, endpoint, addressing: pathStyle ? 'path' : 'virtual-host' };
}

function ossAddress(options: Parts['options'], settings: Settings): Address {
  const given = options.get('endpoint') ?? settings.endpoint;
  const endpoint = given === undefined ? undefined : origin(given.includes('://') ? given : `https://${given}`);
  const host = endpoint === undefined ? '' : new URL(endpoint).hostname;
  const fromHost = /^oss-([a-z0-9-]+?)(-internal)?\.aliyuncs\.com$/.exec(host)?.[1];
  const named = (options.get('region') ?? settings.region)?.replace(/^oss-/, '');
  const atAlibaba = endpoint === undefined || host.endsWith('.aliyuncs.com');
  const region = named ?? fromHost ?? (atAlibaba ? undefined : 'cn-hangzhou');
  if (region === undefined) throw invalid('no region: add ?region=cn-hangzhou or set OSS_REGION');
  checkRegion(region);
  // OSS itself refuses the bucket in the path; other servers have no name for each bucket.
  const pathStyle = flag(options, 'pathStyle') ?? !atAlibaba;
  return {
    region,
    endpoint: endpoint ?? `https://oss-${region}.aliyuncs.com`,
    addressing: pathStyle ? 'path' : 'virtual-host',
  };
}

function checkRegion(region: string): void {
  if (!/^[a-z0-9-]{1,40}$/i.test(region))
    throw invalid(`the region "${region}" is no name of one: write e.g. region=eu-west-1`);
}

/** Scheme, host and port of an address that has nothing else. */
function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw invalid('the endpoint is no address: write e.g. endpoint=https://storage.example.com:9000');
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid('keys do not belong into the endpoint: set them as environment variables');
  }
  if ((url.pathname !== '/' && url.pathname !== '') || url.search !== '' || url.hash !== '') {
    throw invalid(`the endpoint ${url.origin} must end behind host and port`);
  }
  return url.origin;
}

function flag(options: Parts['options'], name: string): boolean | undefined {
  const value = options.get(name);
  if (value === undefined || value === 'true' || value === 'false')
    return value === undefined ? undefined : value === 'true';
  throw invalid(`${name}=${value} must be true or false`);
}

function wholeNumber(name: string, value: string): number {
  if (/^[1-9]\d{0,4}$/.test(value)) return Number(value);
  throw invalid(`${name}=${value} must be a whole number from 1`);
}

function invalid(why: string): MusterError {
  return new MusterError('CONFIG_INVALID', `object location: ${why}`);
}
