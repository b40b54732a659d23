import { createHash } from 'node:crypto';
import { type Dialect } from '../dialect/dialect.ts';
import { ObjectStoreError } from '../failure.ts';
import { type Caller } from '../http/caller.ts';
import {
  type CallOptions,
  type DeleteOutcome,
  type DeleteResult,
  type DeleteTarget,
  type ObjectClient,
} from '../types.ts';
import { type XmlReader } from '../xml/reader.ts';
import { element, fitsXml } from '../xml/writer.ts';
import { decoded, fieldsOf, parsed } from './documents.ts';

/** S3 and OSS alike take so many at once. */
const mostAtOnce = 1_000;
/** Those that must go one by one, at a time. */
const width = 16;

export function deletingCalls(caller: Caller, dialect: Dialect): Pick<ObjectClient, 'delete' | 'deleteMany'> {
  const one = async (key: string, options: { versionId?: string } = {}, call?: CallOptions): Promise<DeleteResult> => {
    const { headers } = await caller.answered({ method: 'DELETE', key, query: { versionId: options.versionId } }, call);
    const versionId = headers[`${dialect.prefix}version-id`];
    const deleteMarker = headers[`${dialect.prefix}delete-marker`] === 'true';
    return { ...(versionId === undefined ? {} : { versionId }), deleteMarker };
  };
  return {
    delete: one,
    async deleteMany(targets: readonly DeleteTarget[], call?: CallOptions) {
      if (targets.length > mostAtOnce) {
        throw new ObjectStoreError(
          'OBJECT_STORE_REFUSED',
          `${targets.length} keys to delete, at most ${mostAtOnce}`,
          {},
        );
      }
      const outcomes: DeleteOutcome[] = targets.map((target) => ({ ...target, ...unmentioned }));
      const [plain, odd] = parted(outcomes);
      if (plain.length > 0) await together({ caller, dialect, call }, plain);
      const turns = odd.values();
      const work = async (): Promise<void> => {
        for (const outcome of turns) await alone(one, outcome, call);
      };
      await Promise.all(Array.from({ length: Math.min(width, odd.length) }, work));
      return outcomes;
    },
  };
}

const unmentioned = { kind: 'failed' as const, code: '', message: 'the answer does not mention it' };

/** Keys that come through a document as they are, and those that may not. */
function parted(outcomes: readonly DeleteOutcome[]): [DeleteOutcome[], DeleteOutcome[]] {
  const fits = ({ key }: DeleteOutcome): boolean => fitsXml(key) && !/[\t\n\r]|^\s|\s$/.test(key);
  return [outcomes.filter(fits), outcomes.filter((outcome) => !fits(outcome))];
}

async function alone(one: ObjectClient['delete'], outcome: DeleteOutcome, call?: CallOptions): Promise<void> {
  const { key, versionId } = outcome;
  try {
    await one(key, versionId === undefined ? {} : { versionId }, call);
    Object.assign(outcome, deleted);
  } catch (error) {
    if (!(error instanceof ObjectStoreError) || error.code === 'OBJECT_STORE_UNREACHABLE') throw error;
    Object.assign(outcome, { kind: 'failed', code: error.serverCode, message: error.message });
  }
}

const deleted = { kind: 'deleted', code: undefined, message: undefined };

async function together(
  { caller, dialect, call }: { caller: Caller; dialect: Dialect; call: CallOptions | undefined },
  outcomes: readonly DeleteOutcome[],
): Promise<void> {
  const rows = outcomes.map(({ key, versionId }) => `${element('Key', key)}${element('VersionId', versionId)}`);
  const objects = rows.map((row) => `<Object>${row}</Object>`).join('');
  const body = Buffer.from(`<Delete${dialect.xmlNamespace}><Quiet>false</Quiet>${objects}</Delete>`);
  const headers = {
    'content-type': 'application/xml',
    // Both dialects refuse a list that may have been damaged on its way.
    'content-md5': createHash('md5').update(body).digest('base64'),
  };
  const waiting = new Map<string, DeleteOutcome[]>();
  for (const outcome of outcomes) {
    const name = nameOf(outcome.key, outcome.versionId);
    const same = waiting.get(name);
    if (same === undefined) waiting.set(name, [outcome]);
    else same.push(outcome);
  }
  await parsed(
    caller,
    { method: 'POST', query: { delete: '' }, headers, body },
    {
      options: call,
      root: 'DeleteResult',
      read: (reader) => readOutcomes(reader, waiting),
    },
  );
}

const nameOf = (key: string, versionId: string | undefined): string => `${versionId ?? ''} ${key}`;

function readOutcomes(reader: XmlReader, waiting: ReadonlyMap<string, DeleteOutcome[]>): void {
  const met: Map<string, string>[] = [];
  let encoded = false;
  while (reader.next() === 'open') {
    const { name } = reader;
    if (name === 'EncodingType') encoded = reader.text() === 'url';
    else if (name === 'Deleted' || name === 'Error') {
      met.push(fieldsOf(reader, ['Key', 'VersionId', 'Code', 'Message']).set('Element', name));
    } else reader.skip();
  }
  for (const fields of met) {
    const key = fields.get('Key') ?? '';
    const outcomes = waiting.get(nameOf(encoded ? decoded(key) : key, fields.get('VersionId'))) ?? [];
    for (const outcome of outcomes) {
      if (fields.get('Element') === 'Deleted') Object.assign(outcome, deleted);
      else
        Object.assign(outcome, {
          kind: 'failed',
          code: fields.get('Code') ?? '',
          message: fields.get('Message') ?? '',
        });
    }
  }
}
