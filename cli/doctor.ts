import { resolveReference } from '../activities/references.ts';
import { findPostgres } from '../activities/drivers/postgres/binaries.ts';
import { readServiceState } from '../worker/service-state.ts';
import { toMusterError } from '../workflows/engine/errors.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';

interface Finding {
  what: string;
  ok: boolean;
  detail: string;
}

/** `muster doctor` */
export async function checkUp(context: Context, options: { json?: boolean }): Promise<ExitCode> {
  const findings = await examine(context);
  if (options.json === true) sayJson(findings);
  else
    for (const { what, ok, detail } of findings)
      say(`${ok ? style.green('✓') : style.red('✗')} ${what.padEnd(28)} ${detail}`);
  return findings.every((finding) => finding.ok) ? exitCodes.met : exitCodes.failed;
}

async function examine(context: Context): Promise<Finding[]> {
  const node = await look('Node.js', async () => process.version);
  const postgres = await look('PostgreSQL programs', describePostgres);
  const estate = await look(
    'estate',
    async () => `${context.estatePath}: ${Object.keys(context.estate().services).join(', ')}`,
  );
  if (!estate.ok) return [node, postgres, estate];
  const rest = [
    look('secrets', async () => `${countReferences(context)} references resolve`),
    look('Temporal', async () => {
      await (await context.temporal()).connection.ensureConnected();
      return process.env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233';
    }),
    look('ledger', async () => {
      await (await context.ledger()).listRuns();
      return 'answers';
    }),
    ...Object.values(context.estate().services).map((service) => lookAtService(context, service.name)),
  ];
  return [node, postgres, estate, ...(await Promise.all(rest))];
}

async function look(what: string, examineIt: () => Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, detail: await examineIt() };
  } catch (err) {
    const { code, message, hint } = toMusterError(err);
    return { what, ok: false, detail: `${code}: ${message}\n    ${hint}` };
  }
}

async function describePostgres(): Promise<string> {
  const { version, pgRewind } = await findPostgres();
  return `${version}${pgRewind === null ? '; no pg_rewind: a diverged primary rejoins by a fresh clone' : ' with pg_rewind'}`;
}

/** Keys whose references only a site's own agent resolves: files and ports beside the database. */
const ofTheSite: ReadonlySet<string> = new Set([
  'dataDir',
  'binDir',
  'host',
  'port',
  'slot',
  'replicationUrl',
  'upstream',
]);

/** Resolves every reference that a process at the control plane needs. @throws MusterError SECRET_MISSING */
function countReferences(context: Context): number {
  const references = new Set<string>();
  JSON.stringify(context.estate(), (key, value: unknown) => {
    if (typeof value === 'string' && /^(env|file):/.test(value) && !ofTheSite.has(key)) references.add(value);
    return value;
  });
  for (const reference of references) resolveReference(reference);
  return references.size;
}

function lookAtService(context: Context, name: string): Promise<Finding> {
  return look(`service ${name}`, async () => {
    const state = await readServiceState(context.estate(), context.service(name));
    const silent = Object.keys(state.silent);
    const said = `writer ${state.holder}, epoch ${state.epoch}`;
    if (silent.length > 0) throw new Error(`${said}; no answer from ${silent.join(', ')}`);
    return said;
  });
}
