/** `node scripts/run.mjs FILE.ts [arguments]`: runs a TypeScript file with Node 24, whatever Node this is. */
import path from 'node:path';
import { runTypeScript } from './exec.mjs';

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node scripts/run.mjs FILE.ts [arguments]');
  process.exitCode = 2;
} else {
  await runTypeScript(path.resolve(file), args);
}
