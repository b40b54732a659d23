/** `npm run check`: see checking/checks.ts. */
import path from 'node:path';
import { runTypeScript } from './exec.mjs';
import { root } from './node24.mjs';

await runTypeScript(path.join(root, 'scripts', 'checking', 'checks.ts'), process.argv.slice(2));
