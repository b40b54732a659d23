import { type BucketLock, type LockMode } from '../bucket-types.ts';
import { type Dialect } from '../dialect/dialect.ts';
import { ObjectStoreError } from '../failure.ts';
import { type Caller } from '../http/caller.ts';
import { type CallOptions, type ObjectClient, type Retention } from '../types.ts';
import { type XmlReader } from '../xml/reader.ts';
import { element } from '../xml/writer.ts';
import { fieldsOf, parsed } from './documents.ts';
import { documentHeaders } from './tags.ts';

type Locks = Pick<
  ObjectClient,
  'getRetention' | 'putRetention' | 'getLegalHold' | 'putLegalHold' | 'getBucketLock' | 'setBucketLock'
>;

/** Nothing was set, in the words of the servers known. */
const unset = new Set([
  'NoSuchObjectLockConfiguration',
  'ObjectLockConfigurationNotFoundError',
  'NoSuchWORMConfiguration',
]);

function isUnset(error: unknown): boolean {
  if (!(error instanceof ObjectStoreError)) return false;
  return unset.has(error.serverCode) || (error.serverCode === 'InvalidRequest' && error.status === 400);
}

async function unlessUnset<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isUnset(error)) return undefined;
    throw error;
  }
}

/** Object lock of S3. */
export function s3Locks(caller: Caller, { xmlNamespace }: Dialect): Locks {
  const put = async (
    call: { key?: string; query: Record<string, string | undefined>; headers?: Record<string, string>; xml: string },
    options: CallOptions | undefined,
  ): Promise<void> => {
    const body = Buffer.from(call.xml);
    const headers = { ...documentHeaders(body), ...call.headers };
    const { key, query } = call;
    await caller.answered({ method: 'PUT', query, headers, body, ...(key === undefined ? {} : { key }) }, options);
  };
  return {
    getRetention: (key, { versionId } = {}, options) =>
      unlessUnset(
        parsed(
          caller,
          { method: 'GET', key, query: { retention: '', versionId } },
          {
            options,
            root: 'Retention',
            read: readRetention,
          },
        ),
      ),
    putRetention: (key, { mode, untilMs }, { versionId, bypassGovernance } = {}, options) =>
      put(
        {
          key,
          query: { retention: '', versionId },
          headers: bypassGovernance === true ? { 'x-amz-bypass-governance-retention': 'true' } : {},
          xml: `<Retention${xmlNamespace}>${element('Mode', mode)}${element('RetainUntilDate', new Date(untilMs).toISOString())}</Retention>`,
        },
        options,
      ),
    async getLegalHold(key, { versionId } = {}, options) {
      const call = { method: 'GET' as const, key, query: { 'legal-hold': '', versionId } };
      const read = (reader: XmlReader): boolean => fieldsOf(reader, ['Status']).get('Status') === 'ON';
      return (await unlessUnset(parsed(caller, call, { options, root: 'LegalHold', read }))) ?? false;
    },
    putLegalHold: (key, held, { versionId } = {}, options) =>
      put(
        {
          key,
          query: { 'legal-hold': '', versionId },
          xml: `<LegalHold${xmlNamespace}>${element('Status', held ? 'ON' : 'OFF')}</LegalHold>`,
        },
        options,
      ),
    async getBucketLock(options) {
      const call = { method: 'GET' as const, query: { 'object-lock': '' } };
      const read = readObjectLock;
      return (
        (await unlessUnset(parsed(caller, call, { options, root: 'ObjectLockConfiguration', read }))) ?? {
          state: 'off',
        }
      );
    },
    setBucketLock: ({ mode, days }, options) =>
      put(
        {
          query: { 'object-lock': '' },
          xml:
            `<ObjectLockConfiguration${xmlNamespace}><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>` +
            `${element('Mode', mode)}${element('Days', days)}</DefaultRetention></Rule></ObjectLockConfiguration>`,
        },
        options,
      ),
  };
}

function readRetention(reader: XmlReader): Retention | undefined {
  const fields = fieldsOf(reader, ['Mode', 'RetainUntilDate']);
  const mode = fields.get('Mode');
  const untilMs = Date.parse(fields.get('RetainUntilDate') ?? '');
  return (mode === 'GOVERNANCE' || mode === 'COMPLIANCE') && !Number.isNaN(untilMs) ? { mode, untilMs } : undefined;
}

function readObjectLock(reader: XmlReader): BucketLock {
  const lock: BucketLock = { state: 'off' };
  const walk = (): void => {
    while (reader.next() === 'open') {
      if (reader.name === 'ObjectLockEnabled') lock.state = reader.text() === 'Enabled' ? 'on' : 'off';
      else if (reader.name === 'Mode') lock.mode = reader.text() as LockMode;
      else if (reader.name === 'Days') lock.days = reader.number();
      else if (reader.name === 'Years') lock.days = reader.number() * 365;
      else walk();
    }
  };
  walk();
  return lock;
}

/** WORM policies of OSS: they lock the bucket as a whole. */
export function ossLocks(caller: Caller): Locks {
  const lacking = (): Promise<never> =>
    Promise.reject(
      new ObjectStoreError('OBJECT_STORE_REFUSED', 'oss locks buckets, not objects: see `supports.objectLock`', {}),
    );
  const getBucketLock = async (options?: CallOptions): Promise<BucketLock> => {
    const call = { method: 'GET' as const, query: { worm: '' } };
    const read = readWorm;
    return (await unlessUnset(parsed(caller, call, { options, root: 'WormConfiguration', read }))) ?? { state: 'off' };
  };
  const post = (query: Record<string, string>, xml: string | undefined, options?: CallOptions) => {
    const body = xml === undefined ? undefined : Buffer.from(xml);
    const document = body === undefined ? {} : { body, headers: documentHeaders(body) };
    return caller.answered({ method: 'POST', query, ...document }, options);
  };
  return {
    getRetention: lacking,
    putRetention: lacking,
    getLegalHold: lacking,
    putLegalHold: lacking,
    getBucketLock,
    async setBucketLock({ days, irrevocable }, options) {
      const now = await getBucketLock(options);
      const period = element('RetentionPeriodInDays', days);
      if (now.state === 'on') {
        await post(
          { wormExtend: '', wormId: now.wormId! },
          `<ExtendWormConfiguration>${period}</ExtendWormConfiguration>`,
          options,
        );
        return;
      }
      let { wormId } = now;
      if (now.state !== 'in-progress') {
        const xml = `<InitiateWormConfiguration>${period}</InitiateWormConfiguration>`;
        wormId = (await post({ worm: '' }, xml, options)).headers['x-oss-worm-id'];
      }
      if (irrevocable === true && wormId !== undefined) await post({ wormId }, undefined, options);
    },
  };
}

const wormStates: Readonly<Record<string, BucketLock['state']>> = {
  ...{ InProgress: 'in-progress', Locked: 'on', Expired: 'expired' },
};

function readWorm(reader: XmlReader): BucketLock {
  const fields = fieldsOf(reader, ['WormId', 'State', 'RetentionPeriodInDays']);
  const wormId = fields.get('WormId');
  const days = fields.get('RetentionPeriodInDays');
  return {
    state: wormStates[fields.get('State') ?? ''] ?? 'off',
    mode: 'COMPLIANCE',
    ...(days === undefined ? {} : { days: Number(days) }),
    ...(wormId === undefined ? {} : { wormId }),
  };
}
