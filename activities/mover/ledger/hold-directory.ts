import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';

/**
 * Marks a directory as in use by this process; a mark left by one that is gone is taken over.
 * @returns gives it back
 * @throws LEDGER_CONFLICT when a living process has it
 */
export function holdDirectory(directory: string): () => void {
  const file = path.join(directory, 'in-use');
  for (let tries = 0; ; tries++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (cause) {
      const owner = ownerOf(file);
      if (tries > 0 || (owner !== undefined && lives(owner))) {
        throw new MusterError('LEDGER_CONFLICT', `${directory} is in use by process ${owner ?? 'unknown'}`, { cause });
      }
      rmSync(file, { force: true });
    }
  }
}

function ownerOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'EPERM';
  }
}
