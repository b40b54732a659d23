import { type Conditions, type DeleteInput, type DeleteResult } from '../../object/model.ts';
import { type ObjectLayer } from '../../object/layer.ts';
import { refusal } from '../errors.ts';
import { type Operation } from '../operation.ts';
import { mapBounded } from './bounded.ts';
import { deleteConditionsOf } from './conditions.ts';
import { invalidRequest, malformedXml } from './refusals.ts';
import { escapeXml, optional, parseXml, textsOf, xmlAnswer, type XmlElement } from './xml.ts';

const maxObjects = 1000;
/** 1,000 keys of 1,024 bytes, each byte written as a reference of six, and the elements around them. */
const maxDocumentBytes = 8 * 1024 * 1024;
/** Deletes of one request under way at a time. */
const width = 32;

interface Wanted {
  key: string;
  versionId: string | undefined;
  conditions: Conditions | undefined;
}

export const deleteObjects: Operation = {
  name: 'DeleteObjects',
  dialect: 's3',
  method: 'POST',
  resource: 'bucket',
  query: ['delete'],
  actions: ['s3:DeleteObject'],
  parameters: [],
  async handle({ request, payload, layer }) {
    requireDigest(request.headers);
    const { quiet, wanted } = readDocument(await payload.bytes(maxDocumentBytes));
    await layer.bucket(request.bucket);
    const rows = await mapBounded(wanted, width, (one) => removeOne(layer, { bucket: request.bucket, one, quiet }));
    return xmlAnswer('DeleteResult', rows.join(''));
  },
};

/** S3 takes no list of keys to delete that could have been damaged on the way. */
function requireDigest(headers: Readonly<Record<string, string>>): void {
  const given = Object.keys(headers).some(
    (name) => name === 'content-md5' || name === 'x-amz-trailer' || /^x-amz-checksum-(crc|sha)/.test(name),
  );
  if (!given) throw invalidRequest('Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
}

function readDocument(bytes: Uint8Array): { quiet: boolean; wanted: Wanted[] } {
  const root = parseXml(bytes, 'Delete');
  const wanted: Wanted[] = [];
  let quiet = false;
  for (const child of root.children) {
    if (child.name === 'Object') wanted.push(readObject(child));
    else if (child.name === 'Quiet' && /^(true|false)$/i.test(child.text.trim())) quiet = /true/i.test(child.text);
    else throw malformedXml();
  }
  if (wanted.length === 0 || wanted.length > maxObjects) throw malformedXml();
  return { quiet, wanted };
}

function readObject(element: XmlElement): Wanted {
  const texts = textsOf(element, ['Key', 'VersionId', 'ETag', 'LastModifiedTime', 'Size']);
  if (texts.Key === undefined || texts.Key === '') throw malformedXml();
  const { ETag: etag, Size: size, LastModifiedTime: lastModified } = texts;
  return {
    key: texts.Key,
    versionId: texts.VersionId === '' ? undefined : texts.VersionId,
    conditions: deleteConditionsOf({ etag, size, lastModified }),
  };
}

async function removeOne(
  layer: ObjectLayer,
  { bucket, one, quiet }: { bucket: string; one: Wanted; quiet: boolean },
): Promise<string> {
  const input: DeleteInput = { bucket, key: one.key };
  if (one.versionId !== undefined) input.versionId = one.versionId;
  if (one.conditions !== undefined) input.conditions = one.conditions;
  try {
    const result = await layer.remove(input);
    return quiet ? '' : deletedXml(one, result);
  } catch (error) {
    const { code, message } = refusal(error);
    return `<Error>${named(one)}<Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  }
}

function named(one: Wanted): string {
  return `<Key>${escapeXml(one.key)}</Key>${optional('VersionId', one.versionId)}`;
}

function deletedXml(one: Wanted, { versionId, deleteMarker }: DeleteResult): string {
  const marker = deleteMarker ? `<DeleteMarker>true</DeleteMarker>${optional('DeleteMarkerVersionId', versionId)}` : '';
  return `<Deleted>${named(one)}${marker}</Deleted>`;
}
