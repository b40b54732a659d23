/** Started by temporal-download.mjs with Node 24: `sdk-download.mjs FOLDER VERSION` leaves FOLDER/temporal-VERSION. */
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [, , folder, version] = process.argv;
if (folder === undefined || version === undefined) throw new Error('usage: sdk-download.mjs FOLDER VERSION');
try {
  const env = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', downloadDir: folder, version } },
  });
  await env.teardown();
} catch (err) {
  console.error(err instanceof Error ? err.message : String(err));
  process.exitCode = 1;
}
