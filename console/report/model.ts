/** The report as types. Every field is described in `schema.ts`, from which they come. */
import type { z } from 'zod';
import type { reportSchema } from './schema.ts';

export type Report = z.infer<typeof reportSchema>;
export type RunReport = Report['runs'][number];
export type ObjectiveReport = Report['objectives'][number];
export type ObjectiveVerdict = ObjectiveReport['verdict'];
export type RtoReport = NonNullable<RunReport['rto']>;
export type RpoReport = NonNullable<RunReport['rpo']>;
export type ClockReport = RunReport['clocks'][number];
export type StepReport = RunReport['steps'][number];
export type Decision = StepReport['decisions'][number];
export type FindingReport = RunReport['findings'][number];
export type ChainReport = RunReport['chain'];
export type LossReport = Report['loss'];
export type LostRow = LossReport['notListed'][number];
export type TruthReport = NonNullable<Report['truth']>;
export type ClientsReport = NonNullable<Report['clients']>;
export type LevelReport = NonNullable<Report['level']>;
