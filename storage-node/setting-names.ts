/** Every setting and its name in the environment; the flag follows from the name. */
export const settingNames = {
  drives: 'MUSTER_DRIVES',
  node: 'MUSTER_NODE',
  rootUser: 'MUSTER_ROOT_USER',
  rootPassword: 'MUSTER_ROOT_PASSWORD',
  region: 'MUSTER_REGION',
  certsDir: 'MUSTER_CERTS_DIR',
  plainRpc: 'MUSTER_PLAIN_RPC',
  clusterId: 'MUSTER_CLUSTER_ID',
  tlsCert: 'MUSTER_TLS_CERT',
  tlsKey: 'MUSTER_TLS_KEY',
  bind: 'MUSTER_BIND',
  domains: 'MUSTER_DOMAINS',
  reserve: 'MUSTER_RESERVE_MIB',
  healRate: 'MUSTER_HEAL_MIB_PER_SECOND',
  scrubHours: 'MUSTER_SCRUB_HOURS',
  logLevel: 'MUSTER_LOG_LEVEL',
} as const;

export type SettingName = keyof typeof settingNames;
export type Settings = Partial<Record<SettingName, string>>;

export const allSettings = Object.keys(settingNames) as SettingName[];

/** The settings that are numbers: what they count, their bounds, and what they are when nobody says. */
export const numberSettings = {
  reserve: { unit: 'MiB', from: 0, to: 1_000_000_000, usual: 512 },
  healRate: { unit: 'MiB per second, 0 for no limit,', from: 0, to: 1_000_000, usual: 200 },
  scrubHours: { unit: 'hours', from: 0.1, to: 8_760, usual: 24 * 7 },
} as const satisfies Partial<Record<SettingName, { unit: string; from: number; to: number; usual: number }>>;

/** `rootUser` is given as `--root-user`. */
export function flagOf(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
