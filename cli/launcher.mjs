#!/usr/bin/env node
/** The `muster` command on whatever Node is there: finds Node 24 and hands over to main.ts. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { root } from '../scripts/node24.mjs';
import { runTypeScript } from '../scripts/exec.mjs';

if (existsSync(path.join(root, 'node_modules', 'commander'))) {
  await runTypeScript(path.join(root, 'cli', 'main.ts'), process.argv.slice(2));
} else {
  console.error(`Muster is not set up yet: run \`npm start\` or \`npm run setup\` in ${root}`);
  process.exitCode = 2;
}
