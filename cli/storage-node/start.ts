import path from 'node:path';
import { configFromArgs } from '../../storage-node/command-line.ts';
import { fail } from './action.ts';

const program = path.join(import.meta.dirname, '..', '..', 'storage-node', 'main.ts');

/** `muster storage-node start`: the program of a node, in this process. */
export async function start(args: string[]): Promise<void> {
  try {
    // Wrong settings are refused before the program is loaded, as by every other command.
    configFromArgs(args, process.env);
  } catch (error) {
    fail(error);
    return;
  }
  process.argv = [process.argv[0]!, program, ...args];
  await import('../../storage-node/main.ts');
}
