import { type DriveApi } from '../../../storage-node/store/drive-api.ts';
import { createMemoryDrive, type MemoryDrive } from '../support/memory-drive.ts';
import { type SimDisk } from './cluster.ts';

/** A drive whose every answer is durable: for simulating what is built on drives, quickly. */
export function createMemoryDisk(name: string): SimDisk & { drive: MemoryDrive } {
  const drive = createMemoryDrive(name);
  return {
    drive,
    open: () => Promise.resolve<DriveApi>(drive),
    crash: () => drive.restart(),
  };
}
