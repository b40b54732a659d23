import { createHash, randomBytes } from 'node:crypto';
import { openDirectoryStore } from '../../../../activities/backup/repository/directory-store.ts';

// Writes packs until it is killed; prints the name of each that is durable.
const store = await openDirectoryStore(process.argv[2] as string);
for (;;) {
  const pieces = [randomBytes(100_000), randomBytes(400_000)];
  const name = createHash('sha256').update(Buffer.concat(pieces)).digest('hex');
  await store.write('data', name, pieces);
  process.stdout.write(`${name}\n`);
}
