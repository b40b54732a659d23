import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { DriverCatalogue } from '../workflows/engine/catalogue.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { JsonObject, Objectives, PlanResource, PlanSite } from '../workflows/engine/plan.ts';
import { buildCopy, type EstateCopy } from './copies-estate.ts';
import { estateProblems } from './estate-checks.ts';
import { estateSchema, type EstateFile, type ServiceFile } from './estate-schema.ts';
import { deepFreeze } from './freeze.ts';
import { refuseProblems } from './problems.ts';
import { buildBackup, buildVault, type BackupPolicy, type DrillPolicy, type EstateVault } from './estate-protection.ts';
import { schemaProblems } from './schema-problems.ts';
import { secretProblems, secretsFirst } from './secrets.ts';
import { readYaml } from './yaml-source.ts';

/** muster.yaml as plain, frozen data. References (`env:NAME`, `file:path`) stand as they are. */
export interface Estate {
  fileName: string;
  /** The control plane's HTTP, as sites reach it. */
  control: { url: string; token: string };
  sites: Record<string, PlanSite>;
  vaults: Record<string, EstateVault>;
  copies: Record<string, EstateCopy>;
  services: Record<string, EstateService>;
}

export interface EstateService {
  name: string;
  primary: string;
  standby: string;
  objectives: Objectives;
  /** GB/T 20988 level claimed, `1` to `6`; null when none is. */
  level: string | null;
  policy: Policy;
  approvers: Approvers;
  resources: EstateResource[];
  backups: BackupPolicy[];
  drills: DrillPolicy[];
}

export interface Policy {
  /** Who declares a disaster: a person, or the watch loop after `holdSeconds`. */
  declare: 'ask' | 'automatic';
  holdSeconds: number;
  leaseSeconds: number;
  probeSeconds: number;
  /** No second automatic declaration within this time. */
  cooldownSeconds: number;
  commit: 'automatic' | 'ask';
}

/** Names or roles that may answer a gate; empty means anyone. */
export interface Approvers {
  rpo: string[];
  commit: string[];
  fence: string[];
}

export interface EstateResource extends PlanResource {
  /** Resources of the same service that are moved before this one. */
  after: string[];
}

/**
 * Reads and checks an estate file.
 * @throws MusterError ESTATE_INVALID naming everything that is wrong, one line each: file:line:column, path, fix
 */
export function loadEstate(path: string, catalogue: DriverCatalogue): Estate {
  return parseEstate(readTextFile(path, 'ESTATE_INVALID'), basename(path), catalogue);
}

/** As `loadEstate`, from text. Reads nothing else: no environment, no files. */
export function parseEstate(text: string, fileName: string, catalogue: DriverCatalogue): Estate {
  const source = readYaml(text, fileName, 'ESTATE_INVALID');
  const others = [...schemaProblems(estateSchema, source.value), ...estateProblems(source.value, catalogue)];
  refuseProblems(source, secretsFirst(secretProblems(source.value), others), 'ESTATE_INVALID');
  return deepFreeze(buildEstate(estateSchema.parse(source.value), fileName));
}

/** @throws MusterError SERVICE_UNKNOWN naming the services there are */
export function serviceOf(estate: Estate, name: string): EstateService {
  const service = Object.hasOwn(estate.services, name) ? estate.services[name] : undefined;
  if (service !== undefined) return service;
  throw new MusterError(
    'SERVICE_UNKNOWN',
    `no service is named "${name}"; known: ${Object.keys(estate.services).join(', ')}`,
  );
}

/** @throws MusterError with the given code when the file cannot be read */
export function readTextFile(path: string, code: 'ESTATE_INVALID' | 'RUNBOOK_INVALID'): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const why =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : 'the file cannot be read';
    throw new MusterError(code, `${path}: ${why}. Fix: name an existing file, or write one`, { cause });
  }
}

function buildEstate(file: EstateFile, fileName: string): Estate {
  const sites = Object.entries(file.sites).map(([name, site]): [string, PlanSite] => [
    name,
    { name, agentUrl: site.agent ?? null, region: site.region ?? null },
  ]);
  const services = Object.entries(file.services).map(([name, service]): [string, EstateService] => [
    name,
    buildService(name, service),
  ]);
  const vaults = Object.entries(file.vaults).map(([name, vault]): [string, EstateVault] => [
    name,
    buildVault(name, vault),
  ]);
  const copies = Object.entries(file.copies).map(([name, copy]): [string, EstateCopy] => [name, buildCopy(name, copy)]);
  const { url, token } = file.control;
  return {
    fileName,
    control: { url, token },
    sites: Object.fromEntries(sites),
    vaults: Object.fromEntries(vaults),
    copies: Object.fromEntries(copies),
    services: Object.fromEntries(services),
  };
}

function buildService(name: string, file: ServiceFile): EstateService {
  const { primary, standby, objectives, policy, approvers, drills } = file;
  const resources = Object.entries(file.resources).map(([resource, part]) =>
    buildResource(resource, part, [primary, standby]),
  );
  return {
    name,
    primary,
    standby,
    objectives,
    level: file.level ?? null,
    policy,
    approvers,
    resources,
    backups: file.backups.map(buildBackup),
    drills,
  };
}

function buildResource(
  name: string,
  { driver, after, ...rest }: ServiceFile['resources'][string],
  pair: readonly string[],
): EstateResource {
  const parts = Object.entries(rest as JsonObject);
  const sites = Object.fromEntries(parts.filter(([key]) => pair.includes(key))) as Record<string, JsonObject>;
  const shared = Object.fromEntries(parts.filter(([key]) => !pair.includes(key)));
  return { name, driver, after: [...after], sites, shared };
}
