import { z } from 'zod';
import { copySchema } from './copies-schema.ts';
import { backupSchema, drillSchema, vaultSchema } from './protection-schema.ts';

/** Names travel in task queues, step ids and metrics: short, lower case, no surprises. */
const namePattern = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
const nameRule = 'use lower-case letters, digits and -, start with a letter, at most 40';
export const nameSchema = z.string().regex(namePattern, nameRule);

const text = z.string().min(1);
const seconds = z.number().positive();
const people = z.array(text.describe('a name or role')).describe('a list of names or roles').default([]);

const siteSchema = z.strictObject({
  region: text.describe('the name of its region, as text').optional(),
  agent: text.describe('the base URL of its agent, or a reference to it').optional(),
});

const objectivesSchema = z.strictObject({
  rpoSeconds: z.number().nonnegative().describe('the seconds of data that may be lost, 0 or more'),
  rtoSeconds: seconds.describe('the seconds until real clients are served again, above 0'),
});

/** Defaults of the policy stand here and nowhere else. */
const policySchema = z.strictObject({
  declare: z.enum(['ask', 'automatic']).describe('ask or automatic').default('ask'),
  holdSeconds: z.number().nonnegative().describe('seconds, 0 or more').default(3),
  leaseSeconds: z.number().min(1).describe('seconds, at least 1').default(10),
  probeSeconds: seconds.describe('seconds, above 0').default(1),
  cooldownSeconds: z.number().nonnegative().describe('seconds, 0 or more').default(3600),
  commit: z.enum(['automatic', 'ask']).describe('automatic or ask').default('automatic'),
});

const approversSchema = z.strictObject({ rpo: people, commit: people, fence: people });

/** Everything but `driver` and `after` belongs to the driver, which checks it itself. */
const resourceSchema = z.looseObject({
  driver: text.describe('the kind of resource, e.g. postgres or proxy'),
  after: z
    .array(text.describe('the name of a resource'))
    .describe('a list of resources that are moved before this one')
    .default([]),
});

const serviceSchema = z.strictObject({
  primary: text.describe('the site that holds the writer in normal times'),
  standby: text.describe('the site that takes over'),
  objectives: objectivesSchema.describe('{ rpoSeconds: 30, rtoSeconds: 300 }'),
  // GB/T 20988-2007, annex A: recovery capability levels 1 to 6.
  level: z
    .enum(['1', '2', '3', '4', '5', '6'])
    .describe('the GB/T 20988 level claimed, in quotes: "1" to "6"')
    .optional(),
  policy: policySchema.describe('a mapping').prefault({}),
  approvers: approversSchema.describe('lists of names: { rpo: [], commit: [], fence: [] }').prefault({}),
  resources: z
    .record(nameSchema, resourceSchema.describe('a mapping with its driver, e.g. { driver: postgres }'))
    .describe('the resources by name, each with its driver'),
  backups: z.array(backupSchema).describe('a list of backup policies').default([]),
  drills: z.array(drillSchema).describe('a list of drill policies').default([]),
});

/** Shape of muster.yaml; what hangs together across fields is checked in estate-checks.ts. */
export const estateSchema = z.strictObject({
  version: z.literal(1).describe('1'),
  control: z
    .strictObject({
      url: text.describe('the address of the control plane, or a reference to it'),
      token: text.describe('a reference to the agents’ shared token: env:NAME or file:/path'),
    })
    .describe('{ url: env:MUSTER_CONTROL_URL, token: env:MUSTER_AGENT_TOKEN }'),
  sites: z
    .record(nameSchema, siteSchema.describe('{ region: cn-hangzhou, agent: env:MUSTER_HANGZHOU_AGENT_URL }'))
    .describe('the sites by name'),
  vaults: z
    .record(nameSchema, vaultSchema.describe('{ repository: s3://…, password: env:MUSTER_VAULT_PASSWORD }'))
    .describe('the vaults by name, each with its repository and password')
    .default({}),
  copies: z
    .record(nameSchema, copySchema.describe('{ from: s3://…, to: oss://… }'))
    .describe('the copies between buckets by name, each with from and to')
    .default({}),
  services: z
    .record(nameSchema, serviceSchema.describe('a mapping with primary, standby, objectives and resources'))
    .describe('the services by name'),
});

export type EstateFile = z.infer<typeof estateSchema>;
export type ServiceFile = z.infer<typeof serviceSchema>;
export const policyDefaults = policySchema.parse({});
