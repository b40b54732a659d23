import type { ProofFinding, RestoreProof, RestoreTestOrder } from '../../workflows/engine/protection.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, style } from '../output.ts';
import { formatBytes, formatElapsed } from '../format.ts';
import { nameOf, oneBackup, pointChoice, protectionOf, startedBy, type BackupFlags } from './choose.ts';
import { startAndFollow } from './conduct.ts';
import { pointsOf } from './points.ts';

interface ProveFlags extends BackupFlags {
  point: string;
  target?: 'point' | 'latest';
}

/** `muster backups prove`: a restore test now, with the checks of the estate. */
export async function proveBackup(context: Context, flags: ProveFlags, name?: string): Promise<ExitCode> {
  const plan = protectionOf(context);
  const { order: backup, service } = oneBackup(plan, name, flags.vault);
  const { resource, site, vault } = backup;
  const planned = plan.restoreTests.find(
    ({ order }) =>
      order.service === service && order.resource.name === resource.name && order.vault.name === vault.name,
  );
  const needsPoints = flags.point !== 'newest' && flags.point !== 'random';
  const point = pointChoice(flags.point, needsPoints ? await pointsOf(context, backup) : []);
  const target = flags.target === undefined ? (planned?.order.target ?? { kind: 'point' }) : { kind: flags.target };
  const order: RestoreTestOrder = {
    ...{ service, resource, site, vault, point, target, startedBy: startedBy(flags) },
    checks: planned?.order.checks ?? {},
    ...(backup.references && { references: backup.references }),
  };
  const workflowId = planned?.workflowId ?? `restore-test/${service}/${resource.name}/${vault.name}`;
  const summary = `restore test of ${nameOf(backup)}, asked for by ${order.startedBy}`;
  const start = { workflowType: 'restoreTest', workflowId, order, service, summary };
  return startAndFollow<RestoreProof>(context, flags, start, (proof) => show(proof, flags));
}

function show(proof: RestoreProof, { json }: BackupFlags): ExitCode {
  const exit = proof.verdict === 'proven' ? exitCodes.met : exitCodes.failed;
  if (json === true) return exit;
  const { service, resource, pointId, restoreSeconds, restoredToMs, figures, findings } = proof;
  const sign = proof.verdict === 'proven' ? style.green('proven') : style.red('NOT PROVEN');
  say(`${sign} ${service}/${resource}, point ${style.bold(shortId(pointId))}`);
  if (proof.failure !== null) say(`  ${style.red(proof.failure)}`);
  if (restoredToMs !== null) say(`  state of ${new Date(restoredToMs).toISOString()}`);
  if (restoreSeconds !== null) {
    const bytes = figures.restoredBytes === null ? '' : `, ${formatBytes(figures.restoredBytes)}`;
    say(`  usable after ${formatElapsed(restoreSeconds)}${bytes}`);
  }
  for (const finding of findings) say(`  ${findingText(finding)}`);
  return exit;
}

function findingText({ check, subject, verdict, detail }: ProofFinding): string {
  const sign = { passed: style.green('✓'), failed: style.red('✗'), unknown: style.yellow('?') }[verdict];
  return `${sign} ${check} ${shortened(subject)}${detail === '' ? '' : style.dim(`  ${detail}`)}`;
}

/** `vault/0123abcd`. */
export function shortId(pointId: string): string {
  return pointId.slice(0, pointId.lastIndexOf('/') + 9);
}

/** Ids of points stand short everywhere a person reads them. */
function shortened(subject: string): string {
  return subject.replaceAll(/(\/[0-9a-f]{8})[0-9a-f]{56}\b/g, '$1');
}
