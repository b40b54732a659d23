import { createHash } from 'node:crypto';
import { type Dialect } from '../dialect/dialect.ts';
import { type Caller } from '../http/caller.ts';
import { type CallOptions, type ObjectClient } from '../types.ts';
import { type XmlReader } from '../xml/reader.ts';
import { element } from '../xml/writer.ts';
import { fieldsOf, parsed } from './documents.ts';

export function tagCalls(caller: Caller, dialect: Dialect): Pick<ObjectClient, 'getTags' | 'putTags'> {
  return {
    getTags(key: string, { versionId }: { versionId?: string } = {}, options?: CallOptions) {
      const query = { tagging: '', versionId };
      return parsed(caller, { method: 'GET', key, query }, { options, root: 'Tagging', read: readTags });
    },
    async putTags(
      key: string,
      tags: Record<string, string>,
      { versionId }: { versionId?: string } = {},
      options?: CallOptions,
    ) {
      const query = { tagging: '', versionId };
      const rows = Object.entries(tags).map(
        ([name, value]) => `<Tag>${element('Key', name)}${element('Value', value)}</Tag>`,
      );
      if (rows.length === 0) {
        await caller.answered({ method: 'DELETE', key, query }, options);
        return;
      }
      const body = Buffer.from(`<Tagging${dialect.xmlNamespace}><TagSet>${rows.join('')}</TagSet></Tagging>`);
      await caller.answered({ method: 'PUT', key, query, headers: documentHeaders(body), body }, options);
    },
  };
}

/** S3 takes no configuration that could have been damaged on its way. */
export function documentHeaders(body: Buffer): Record<string, string> {
  return {
    'content-type': 'application/xml',
    'content-md5': createHash('md5').update(body).digest('base64'),
  };
}

function readTags(reader: XmlReader): Record<string, string> {
  const tags: [string, string][] = [];
  while (reader.next() === 'open') {
    if (reader.name !== 'TagSet') {
      reader.skip();
      continue;
    }
    while (reader.next() === 'open') {
      const fields = fieldsOf(reader, ['Key', 'Value']);
      tags.push([fields.get('Key') ?? '', fields.get('Value') ?? '']);
    }
  }
  // Not by assignment, which one name would not survive.
  return Object.fromEntries(tags);
}
