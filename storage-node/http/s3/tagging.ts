/** Tags as clients send and read them. */
import { StorageError } from '../../errors.ts';
import { type Tags } from '../../object/model.ts';
import { type ParsedRequest } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { invalidArgument, malformedXml } from './refusals.ts';
import { escapeXml, parseXml, textsOf } from './xml.ts';

/** Limits of S3 and OSS alike, in UTF-16 units. Source: both user guides, object tagging. */
const maxTags = 10;
const maxNameLength = 128;
const maxValueLength = 256;
/** Letters, blanks and digits of any script, and these signs. */
const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
/** Ten tags, every character of them written as a reference. */
const maxDocumentBytes = 64 * 1024;

/**
 * The tags of a write's `x-amz-tagging`: a query of names and values. Undefined: there is no such header.
 * @throws S3Error InvalidArgument when it is no such query or names a tag twice; what `checked` throws.
 */
export function taggingOf(headers: Readonly<Record<string, string>>): Tags | undefined {
  const header = headers['x-amz-tagging'];
  if (header === undefined) return undefined;
  const pairs = header.split('&').filter((pair) => pair !== '');
  const tags = pairs.map((pair): [string, string] => {
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    return [decoded(name, header), decoded(value, header)];
  });
  if (doubled(tags)) throw noQuery(header);
  return checked(tags);
}

function decoded(text: string, header: string): string {
  // What was not encoded has come as Latin-1, whatever it was.
  if (/[^ -~]/.test(text)) throw noQuery(header);
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw noQuery(header);
  }
}

function noQuery(header: string): S3Error {
  const message =
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.";
  return invalidArgument(message, 'x-amz-tagging', header);
}

/** What CopyObject does about tags. @throws S3Error InvalidArgument. */
export function copiesTags(headers: Readonly<Record<string, string>>): boolean {
  const directive = headers['x-amz-tagging-directive'];
  if (directive === undefined || directive === 'COPY') return true;
  if (directive === 'REPLACE') return false;
  throw invalidArgument('Unknown tagging directive.', 'x-amz-tagging-directive', directive);
}

/** The tags of a `Tagging` document. @throws S3Error MalformedXML; what `checked` throws. */
export async function readTagging(payload: { bytes(limit: number): Promise<Uint8Array> }): Promise<Tags> {
  const root = parseXml(await payload.bytes(maxDocumentBytes), 'Tagging');
  const [set, ...more] = root.children;
  if (set?.name !== 'TagSet' || more.length > 0 || set.text.trim() !== '') throw malformedXml();
  const tags = set.children.map((child): [string, string] => {
    const { Key: name, Value: value } = textsOf(child, ['Key', 'Value']);
    if (child.name !== 'Tag' || name === undefined || value === undefined) throw malformedXml();
    return [name, value];
  });
  checked(tags);
  if (doubled(tags)) throw invalidTag('Cannot provide multiple Tags with the same key');
  return tags;
}

export function taggingXml(tags: Tags): string {
  const rows = tags.map(
    ([name, value]) => `<Tag><Key>${escapeXml(name)}</Key><Value>${escapeXml(value)}</Value></Tag>`,
  );
  return `<TagSet>${rows.join('')}</TagSet>`;
}

function doubled(tags: Tags): boolean {
  return new Set(tags.map(([name]) => name)).size !== tags.length;
}

/** One after the other, then their number, as S3 judges them. @throws S3Error InvalidTag, BadRequest. */
function checked(tags: Tags): Tags {
  for (const [name, value] of tags) {
    if (name === '' || name.length > maxNameLength || !allowed.test(name))
      throw invalidTag('The TagKey you have provided is invalid');
    if (value.length > maxValueLength || !allowed.test(value))
      throw invalidTag('The TagValue you have provided is invalid');
    if (name.startsWith('aws:')) throw invalidTag('System tags cannot be added/updated by requester');
  }
  if (tags.length > maxTags) throw new S3Error('BadRequest', 400, `Object tags cannot be greater than ${maxTags}`);
  return tags;
}

function invalidTag(message: string): S3Error {
  return new S3Error('InvalidTag', 400, message);
}

/** A delete marker has no tags. S3 says that the method is not allowed on it, OSS that there is nothing. */
export async function onVersion<T>(request: ParsedRequest, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof StorageError) || error.details['deleteMarker'] !== 'true') throw error;
    const code = request.dialect === 'oss' ? 'NoSuchKey' : 'MethodNotAllowedOnDeleteMarker';
    throw new StorageError(code, error.message, { details: error.details, cause: error });
  }
}
