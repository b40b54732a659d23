import { existsSync } from 'node:fs';
import { driverCatalogue } from '../activities/drivers/catalogue.ts';
import { compile } from '../runbooks/compile.ts';
import { loadEstate } from '../runbooks/estate.ts';
import { lint, type LintFinding } from '../runbooks/lint.ts';
import { loadRunbook } from '../runbooks/runbook.ts';
import type { RunKind } from '../workflows/engine/plan.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';

interface LintOptions {
  json?: boolean;
}

/** `muster lint` */
export async function lintEstate(
  context: Context,
  options: LintOptions,
  estateFile?: string,
  runbookFile?: string,
): Promise<ExitCode> {
  const path = estateFile ?? (existsSync('muster.yaml') ? 'muster.yaml' : context.estatePath);
  const findings = lintAll(path, runbookFile);
  if (options.json === true) sayJson({ estate: path, findings });
  else drawFindings(path, findings);
  return findings.some((finding) => finding.severity === 'error') ? exitCodes.usage : exitCodes.met;
}

function lintAll(path: string, runbookFile: string | undefined): (LintFinding & { plan: string })[] {
  const estate = loadEstate(path, driverCatalogue);
  const kinds: { kind: RunKind; mode: 'graceful' | 'ungraceful' }[] = [
    { kind: 'failover', mode: 'ungraceful' },
    { kind: 'failover', mode: 'graceful' },
    { kind: 'failback', mode: 'graceful' },
    { kind: 'reprotect', mode: 'graceful' },
    { kind: 'drill', mode: 'graceful' },
  ];
  const findings: (LintFinding & { plan: string })[] = [];
  for (const service of Object.keys(estate.services)) {
    for (const { kind, mode } of kinds) {
      const plan = compile({ estate, service, kind, mode, epoch: 2, catalogue: driverCatalogue });
      findings.push(...lint(plan, driverCatalogue).map((f) => ({ ...f, plan: `${kind} of ${service}, ${mode}` })));
    }
  }
  if (runbookFile === undefined) return findings;
  const runbook = loadRunbook(runbookFile, estate, driverCatalogue);
  const mode = runbook.kind === 'failover' ? 'ungraceful' : 'graceful';
  const plan = compile({
    estate,
    service: runbook.service,
    kind: runbook.kind,
    mode,
    epoch: 2,
    runbook,
    catalogue: driverCatalogue,
  });
  return [...findings, ...lint(plan, driverCatalogue).map((f) => ({ ...f, plan: runbookFile }))];
}

function drawFindings(path: string, findings: (LintFinding & { plan: string })[]): void {
  for (const { severity, plan, stepId, message, fix, rule } of findings) {
    const colour = severity === 'error' ? style.red : style.yellow;
    say(`${colour(severity)} ${plan}${stepId === null ? '' : `, ${stepId}`}: ${message} (${rule})\n  ${fix}`);
  }
  say(
    `${path}: ${findings.length === 0 ? style.green('safe: every plan keeps every rule') : `${findings.length} findings`}`,
  );
}
