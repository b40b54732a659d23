/** `node scripts/run.mjs scripts/errors-doc.ts --write` writes docs/errors.md from the catalogue; without --write it prints. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { errorsPage } from './errors-page.ts';
import { root } from './node24.mjs';

if (process.argv.includes('--write')) writeFileSync(path.join(root, 'docs', 'errors.md'), errorsPage());
else process.stdout.write(errorsPage());
