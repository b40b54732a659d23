/** Backs a directory up in a process of its own, to be killed at any moment: `backup-process.ts <repository> <source>`. */
import { backup } from '../../../../activities/backup/engine/backup.ts';
import { acquireLock } from '../../../../activities/backup/repository/lock.ts';
import { openRepository } from '../../../../activities/backup/repository/repository.ts';
import { directoryAddress, password } from '../../repository/support/repositories.ts';

const [repositoryPath, source] = process.argv.slice(2) as [string, string];
const repository = await openRepository({ address: directoryAddress(repositoryPath), password });
const lock = await acquireLock(repository, { exclusive: false });
process.stdout.write('begun\n');
const { kind, adopted } = await backup({ repository, paths: [source], threads: 2, host: 'test' });
await lock.release();
await repository.close();
process.stdout.write(`${JSON.stringify({ kind, adopted })}\n`);
