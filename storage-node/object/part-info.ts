import { type PartInfo } from './model.ts';
import { type PartState } from './state-codec.ts';

/** What a client is shown of a part. */
export function partInfo({ part, lastModifiedMs }: PartState): PartInfo {
  const { number, sizeBytes, md5, checksum } = part;
  return { number, sizeBytes, etag: md5, lastModifiedMs, checksum };
}
