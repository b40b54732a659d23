import { basename } from 'node:path';
import type { z } from 'zod';
import type { DriverCatalogue } from '../workflows/engine/catalogue.ts';
import type { JsonObject, Mode, OnFailure, RunKind, Verb } from '../workflows/engine/plan.ts';
import { parseDurationMs } from './durations.ts';
import { readTextFile, type Estate } from './estate.ts';
import { deepFreeze } from './freeze.ts';
import { asMapping, refuseProblems, type Mapping } from './problems.ts';
import { itemKind, runbookProblems, verbOf } from './runbook-checks.ts';
import {
  gateSchema,
  notifySchema,
  stepSchema,
  waitSchema,
  type parallelSchema,
  type runbookSchema,
  type variantSchema,
} from './runbook-schema.ts';
import { defaultId } from './steps.ts';
import { readYaml, type YamlPath, type YamlSource } from './yaml-source.ts';

/** A hand-written runbook: what to do and in which order; how is the drivers' matter. Frozen plain data. */
export interface Runbook {
  fileName: string;
  kind: RunKind;
  service: string;
  /** In the order of the file; the items of one group run side by side. */
  groups: RunbookItem[][];
}

export type RunbookItem = RunbookStep | RunbookGate | RunbookWait | RunbookNotify;

interface ItemBase {
  id: string;
  /** Ids of earlier items; null = everything that stands before. */
  after: string[] | null;
  modes: Mode[];
  /** Line of the file, 1-based. */
  line: number;
}

export interface RunbookStep extends ItemBase {
  type: 'step';
  verb: Verb;
  resource: string;
  settings: StepSettings;
  /** Other settings in one of the modes. */
  variants: Partial<Record<Mode, StepSettings>>;
}

/** What a runbook says about a step beyond the driver's own description; absent = as the driver says. */
export interface StepSettings {
  withinMs?: number;
  onFailure?: OnFailure;
  critical?: boolean;
  args?: JsonObject;
}

export interface RunbookGate extends ItemBase {
  type: 'gate';
  question: string;
  approvals: number;
  approvers: string[];
}

export interface RunbookWait extends ItemBase {
  type: 'wait';
  forMs: number;
}

export interface RunbookNotify extends ItemBase {
  type: 'notify';
  text: string;
}

/**
 * Reads and checks a runbook against the estate it is for.
 * @throws MusterError RUNBOOK_INVALID naming everything that is wrong, one line each: file:line:column, path, fix
 */
export function loadRunbook(path: string, estate: Estate, catalogue: DriverCatalogue): Runbook {
  return parseRunbook(readTextFile(path, 'RUNBOOK_INVALID'), basename(path), estate, catalogue);
}

/** As `loadRunbook`, from text. */
export function parseRunbook(text: string, fileName: string, estate: Estate, catalogue: DriverCatalogue): Runbook {
  const source = readYaml(text, fileName, 'RUNBOOK_INVALID');
  refuseProblems(source, runbookProblems(source.value, estate, catalogue), 'RUNBOOK_INVALID');
  const file = source.value as z.infer<typeof runbookSchema>;
  const numbered = { gate: 0, wait: 0, notify: 0 };
  const groups = file.steps.map((value, index) => {
    const path = ['steps', index];
    const inner = (value as Partial<z.infer<typeof parallelSchema>>).parallel;
    if (inner === undefined) return [buildItem({ source, path, numbered }, value)];
    return inner.map((item, i) => buildItem({ source, path: [...path, 'parallel', i], numbered }, item));
  });
  return deepFreeze({ fileName, kind: file.kind, service: file.service, groups });
}

interface Place {
  source: YamlSource;
  path: YamlPath;
  numbered: Record<'gate' | 'wait' | 'notify', number>;
}

function buildItem(place: Place, value: unknown): RunbookItem {
  const item = asMapping(value) ?? {};
  switch (itemKind(item)) {
    case 'gate': {
      const { gate, approvals, approvers } = gateSchema.parse(item);
      return { type: 'gate', ...baseOf(place, item, 'gate'), question: gate, approvals, approvers };
    }
    case 'wait': {
      const forMs = parseDurationMs(waitSchema.parse(item).wait) ?? 0;
      return { type: 'wait', ...baseOf(place, item, 'wait'), forMs };
    }
    case 'notify':
      return { type: 'notify', ...baseOf(place, item, 'notify'), text: notifySchema.parse(item).notify };
    default:
      return buildStep(place, item);
  }
}

function buildStep(place: Place, item: Mapping): RunbookStep {
  const parsed = stepSchema.parse(item);
  const verb = verbOf(item) ?? 'check';
  const resource = parsed[verb] ?? '';
  const variants: Partial<Record<Mode, StepSettings>> = {};
  for (const mode of ['graceful', 'ungraceful'] as const) {
    const variant = asMapping(item[mode]);
    if (variant !== null) variants[mode] = settingsOf(variant);
  }
  const base = baseOf(place, item, 'step', defaultId(verb, resource));
  return { type: 'step', ...base, verb, resource, settings: settingsOf(parsed), variants };
}

function baseOf(place: Place, item: Mapping, kind: 'step' | keyof Place['numbered'], stepId = ''): ItemBase {
  const { after, id } = item as { after?: string[]; id?: string };
  const number = kind === 'step' ? 0 : ++place.numbered[kind];
  const modes = (['graceful', 'ungraceful'] as const).filter((mode) => item[mode] !== false);
  const { line } = place.source.locate(place.path, 'value');
  return { id: id ?? (kind === 'step' ? stepId : `${kind}-${number}`), after: after ?? null, modes, line };
}

function settingsOf(variant: z.infer<typeof variantSchema>): StepSettings {
  const { within, onFailure, critical, args } = variant;
  const withinMs = within === undefined ? null : parseDurationMs(within);
  return {
    ...(withinMs === null ? {} : { withinMs }),
    ...(onFailure === undefined ? {} : { onFailure }),
    ...(critical === undefined ? {} : { critical }),
    ...(args === undefined ? {} : { args: args as JsonObject }),
  };
}
