/** `node worker/build-bundle.ts WORKFLOWS OUT`: bundles the workflows into one file, whole or not at all. */
import { rename, writeFile } from 'node:fs/promises';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

const [workflowsPath = '', out = ''] = process.argv.slice(2);
const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
const part = `${out}.${process.pid}`;
await writeFile(part, code);
await rename(part, out);
