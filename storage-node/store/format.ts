import { StorageError } from '../errors.ts';
import { type FileSystem, readWhole, writeWhole } from './file-system.ts';

/** Version of everything a drive keeps on disk. A drive of another one is not touched. */
export const formatVersion = 1;

/** Who a drive is. Written once, when the drive is first used; every later start must agree with it. */
export interface DriveFormat {
  format: number;
  clusterId: string;
  driveId: string;
  /** Number of the set, its size, and the drive's place in it. */
  set: number;
  setSize: number;
  position: number;
  createdAt: string;
}

const fileName = 'format.json';

/** Undefined for an empty drive. @throws StorageError Corrupt when the file is there and unreadable or of another version. */
export async function readFormat(files: FileSystem, directory: string): Promise<DriveFormat | undefined> {
  const content = await readWhole(files, `${directory}/${fileName}`);
  if (content === undefined) return undefined;
  let format: DriveFormat;
  try {
    format = JSON.parse(content.toString()) as DriveFormat;
  } catch (cause) {
    throw new StorageError('Corrupt', `${directory}/${fileName} is not readable; the drive is left as it is`, {
      cause,
    });
  }
  if (format.format !== formatVersion) {
    const message = `${directory} has format ${format.format}, this version knows ${formatVersion}; the drive is left as it is`;
    throw new StorageError('Corrupt', message);
  }
  return format;
}

export async function writeFormat(files: FileSystem, directory: string, format: DriveFormat): Promise<void> {
  await files.makeDirectory(directory);
  await writeWhole(files, directory, fileName, Buffer.from(`${JSON.stringify(format, null, 2)}\n`));
}

/** @throws StorageError InvalidArgument naming what differs: the drive belongs elsewhere. */
export function checkFormat(
  directory: string,
  found: DriveFormat,
  expected: Pick<DriveFormat, 'clusterId' | 'set' | 'setSize' | 'position'>,
): void {
  for (const field of ['clusterId', 'set', 'setSize', 'position'] as const) {
    if (found[field] === expected[field]) continue;
    const message = `${directory}: the drive's ${field} is ${found[field]}, here it would be ${expected[field]}; it belongs to another cluster or place`;
    throw new StorageError('InvalidArgument', message);
  }
}
