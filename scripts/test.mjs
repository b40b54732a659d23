/** `npm test`: see testing/run-tests.ts. */
import path from 'node:path';
import { runTypeScript } from './exec.mjs';
import { root } from './node24.mjs';

await runTypeScript(path.join(root, 'scripts', 'testing', 'run-tests.ts'), process.argv.slice(2));
