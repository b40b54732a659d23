import type { PlanStep } from '../workflows/engine/plan.ts';
import { error, type LintFinding, type PlanPath, type Rule } from './lint-path.ts';
import { movesWriter } from './steps.ts';

/** Rules about which step must be over before which other starts. */
export const orderRules: readonly Rule[] = [
  fenceBeforePromote,
  allFrozenBeforePromote,
  fenceIsSure,
  oneWriter,
  promoteAll,
  routeAfterPromote,
  verifyAfterRoute,
  commitLast,
  exportBeforeRejoin,
  drillProvesAndCleans,
];

function fenceBeforePromote({ ofVerb, comesBefore, stateful }: PlanPath): LintFinding[] {
  return ofVerb('promote')
    .filter((promote) => stateful.some((r) => r.name === promote.resource))
    .filter((promote) => !ofVerb('fence', promote.resource).some((fence) => comesBefore(fence, promote)))
    .map(({ id, resource }) =>
      error(
        'fence-before-promote',
        id,
        `${resource} is promoted without its old writer fenced`,
        `put "fence: ${resource}" before it`,
      ),
    );
}

/** A consistent cut over all resources: no one is promoted while another is still written or its loss still grows. */
function allFrozenBeforePromote(path: PlanPath): LintFinding[] {
  return path
    .ofVerb('promote')
    .flatMap((promote) => path.stateful.flatMap((r) => frozenFinding(path, promote, r.name)));
}

function frozenFinding(path: PlanPath, promote: PlanStep, resource: string): LintFinding[] {
  const rule = 'frozen-before-promote';
  const driver = path.driverOf(resource);
  const fences = path.ofVerb('fence', resource).filter((fence) => path.comesBefore(fence, promote));
  if (driver?.verbs.fence !== undefined && fences.length === 0 && resource !== promote.resource) {
    const message = `${promote.resource} is promoted while ${resource} may still be written`;
    return [error(rule, promote.id, message, `put "fence: ${resource}" before it`)];
  }
  const own = path.plan.resources.find((r) => r.name === resource);
  const judged = own === undefined || (driver?.measuresLoss?.(own) ?? true);
  const frozen = path.ofVerb('observe', resource).some((observe) => {
    const isLastWord = observe.args['freeze'] === true && (observe.judge === 'rpo' || !judged);
    return isLastWord && path.comesBefore(observe, promote) && fences.some((fence) => path.comesBefore(fence, observe));
  });
  if (frozen || driver?.verbs.observe === undefined || fences.length === 0) return [];
  const message = `${promote.resource} is promoted before the loss of ${resource} is known for good`;
  return [error(rule, promote.id, message, `put "observe: ${resource}" after its fence and before this step`)];
}

function fenceIsSure({ ofVerb, plan, stateful }: PlanPath): LintFinding[] {
  return ofVerb('fence')
    .filter((fence) => stateful.some((r) => r.name === fence.resource))
    .flatMap((fence) => {
      const { id, critical, onFailure, withinMs } = fence;
      const findings: LintFinding[] = [];
      if (!critical || onFailure === 'skip')
        findings.push(
          error(
            'fence-not-optional',
            id,
            'the run would go on without this fence',
            'make it critical, with onFailure pause or abort',
          ),
        );
      if (withinMs <= plan.leaseMs)
        findings.push(
          error(
            'fence-outlasts-lease',
            id,
            `${withinMs} ms are not enough to wait out a lease of ${plan.leaseMs} ms`,
            `give it within: ${Math.ceil(plan.leaseMs / 500)}s or more`,
          ),
        );
      return findings;
    });
}

function oneWriter({ ofVerb, comesBefore, stateful }: PlanPath): LintFinding[] {
  return stateful.flatMap(({ name }) => {
    const promotes = ofVerb('promote', name);
    const fenceBetween = (first: PlanStep, second: PlanStep): boolean =>
      ofVerb('fence', name).some((fence) => comesBefore(first, fence) && comesBefore(fence, second));
    const pairs = promotes.flatMap((a, i) => promotes.slice(i + 1).map((b) => [a, b] as const));
    const doubles = pairs
      .filter(([a, b]) => !fenceBetween(a, b) && !fenceBetween(b, a))
      .map(([, b]) =>
        error(
          'one-writer',
          b.id,
          `${name} is promoted twice with no fence of the first between`,
          'remove one of the promotions',
        ),
      );
    const reopened = ofVerb('unfence', name)
      .filter((unfence) => promotes.some((promote) => !fenceBetween(unfence, promote)))
      .map((unfence) =>
        error(
          'one-writer',
          unfence.id,
          `the old writer of ${name} is opened again in a run that promotes another`,
          'remove this step',
        ),
      );
    return [...doubles, ...reopened];
  });
}

function promoteAll({ plan, stateful, driverOf, ofVerb }: PlanPath): LintFinding[] {
  if (!movesWriter(plan.kind)) return [];
  return stateful
    .filter((r) => driverOf(r.name)?.verbs.promote !== undefined && ofVerb('promote', r.name).length === 0)
    .map(({ name }) =>
      error('promote-all', null, `${name} is never promoted at ${plan.to}`, `add "promote: ${name}" after the fences`),
    );
}

function routeAfterPromote({ ofVerb, comesBefore }: PlanPath): LintFinding[] {
  return ofVerb('route').flatMap((route) =>
    ofVerb('promote')
      .filter((promote) => !comesBefore(promote, route))
      .map(({ resource }) =>
        error(
          'route-after-promote',
          route.id,
          `clients are sent over before ${resource} is promoted`,
          `put "promote: ${resource}" before it`,
        ),
      ),
  );
}

function verifyAfterRoute({ plan, ofVerb, comesBefore }: PlanPath): LintFinding[] {
  if (!movesWriter(plan.kind)) return [];
  const proofs = ofVerb('verify').filter((verify) => verify.clock === 'verified');
  if (proofs.length === 0) {
    const fix = 'add "verify:" of the entry (or of the data, when there is none) after the last route';
    return [error('verify-after-route', null, 'nothing proves that real clients are served', fix)];
  }
  return [...ofVerb('route'), ...ofVerb('promote')]
    .filter((step) => !proofs.some((verify) => comesBefore(step, verify)))
    .map((step) =>
      error('verify-after-route', step.id, 'nothing is verified after this step', 'put a "verify:" after it'),
    );
}

function commitLast({ plan, steps, comesBefore }: PlanPath): LintFinding[] {
  if (!movesWriter(plan.kind)) return [];
  const commits = steps.filter((step) => step.clock === 'committed' || step.clock === 'failed-back');
  const [commit, second] = commits;
  const fix = 'add one "- gate: Commit?" with "id: commit" after the last verify';
  if (commit === undefined) return [error('commit-once', null, 'the run never commits', fix)];
  if (second !== undefined) return [error('commit-once', second.id, 'the run commits twice', 'remove one of the two')];
  return steps
    .filter((step) => ['fence', 'promote', 'route', 'verify'].includes(step.verb) && !comesBefore(step, commit))
    .map((step) => error('commit-last', commit.id, `commits before ${step.id} is over`, `put ${step.id} before it`));
}

/** What only the old writer has is saved before it is overwritten, and it is closed while that is read. */
function exportBeforeRejoin({ plan, ofVerb, comesBefore, driverOf }: PlanPath): LintFinding[] {
  if (plan.kind !== 'reprotect') return [];
  return ofVerb('rejoin').flatMap((rejoin) =>
    (['fence', 'backup'] as const)
      .filter((verb) => driverOf(rejoin.resource)?.verbs[verb] !== undefined)
      .filter((verb) => !ofVerb(verb, rejoin.resource).some((step) => comesBefore(step, rejoin) && savesEnough(step)))
      .map((verb) =>
        error(
          'export-before-rejoin',
          rejoin.id,
          `${rejoin.resource} is overwritten before its ${verb}`,
          `put "${verb}: ${rejoin.resource}" before it`,
        ),
      ),
  );
}

function savesEnough(step: PlanStep): boolean {
  return step.verb === 'fence' || (step.args['diverged'] === true && step.critical && step.onFailure !== 'skip');
}

function drillProvesAndCleans({ plan, ofVerb, comesBefore }: PlanPath): LintFinding[] {
  if (plan.kind !== 'drill') return [];
  const restores = ofVerb('restore').filter((step) => !step.always);
  if (restores.length === 0)
    return [error('drill-proves', null, 'the drill restores nothing', 'use a driver that can restore, or drill live')];
  return restores.flatMap((restore) => {
    const { id, resource } = restore;
    const removed = ofVerb('restore', resource).some((step) => step.always && comesBefore(restore, step));
    const verified = ofVerb('verify', resource).some((step) => comesBefore(restore, step));
    return [
      ...(verified
        ? []
        : [error('drill-proves', id, 'what is restored is never verified', `put "verify: ${resource}" after it`)]),
      ...(removed
        ? []
        : [
            error(
              'drill-cleans-up',
              id,
              'what is restored is never removed',
              `end with "restore: ${resource}" and args: { remove: true }`,
            ),
          ]),
    ];
  });
}
