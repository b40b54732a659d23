/** `node scripts/run.mjs scripts/operations-doc.ts --write` writes docs/storage-operations.md from the route table; without --write it prints. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './node24.mjs';
import { operationsPage } from './operations-page.ts';

if (process.argv.includes('--write')) writeFileSync(path.join(root, 'docs', 'storage-operations.md'), operationsPage());
else process.stdout.write(operationsPage());
