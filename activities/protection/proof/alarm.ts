import type { ProofChecks, ProofFinding } from '../../../workflows/engine/protection.ts';
import { judged, named } from './finding.ts';

/** How the files of a recovery point differ from those of the one before. */
export interface Changes {
  filesBefore: number;
  filesNow: number;
  /** The same name, other content. */
  changed: number;
  appeared: number;
  vanished: number;
  /** Of those that changed: had content, and has none now. */
  emptied: number;
  /** What a sample of the changed files looks like. */
  looked: {
    /** Large enough to tell. */
    judged: number;
    /** Encrypted now, and not before; by name. */
    scrambled: string[];
  };
}

export const defaultMaxChangedPercent = 50;
export const defaultMaxScrambledPercent = 20;
/** With fewer files a share says little: then only what is gone counts. */
const fewFiles = 10;

type Limits = Pick<ProofChecks, 'maxChangedPercent' | 'maxScrambledPercent'>;

/** The alarm against what destroys files slowly enough to be saved in their place. Pure. */
export function alarmOf(changes: Changes, subject: string, limits: Limits): ProofFinding[] {
  return [changeRate(changes, subject, limits), scrambledShare(changes, subject, limits)];
}

function changeRate(changes: Changes, subject: string, limits: Limits): ProofFinding {
  const { filesBefore, filesNow, changed, appeared, vanished, emptied } = changes;
  const limit = limits.maxChangedPercent ?? defaultMaxChangedPercent;
  const touched = percentOf(changed + vanished, filesBefore);
  // New names make up for names that went, as where files are named by their dates; empty files do not.
  const lost = percentOf(Math.max(0, filesBefore - filesNow) + emptied, filesBefore);
  const isMuch = (filesBefore >= fewFiles && touched > limit) || lost > limit;
  const emptyNow = emptied === 0 ? '' : ` (${emptied} are empty now)`;
  const counts = `${changed} changed${emptyNow}, ${vanished} went, ${appeared} are new`;
  const detail = `of ${filesBefore} files ${counts}: ${shown(Math.max(touched, lost))} %, allowed are ${limit} %`;
  return judged(!isMuch, { check: 'change-rate', subject, detail });
}

function scrambledShare({ looked }: Changes, subject: string, limits: Limits): ProofFinding {
  const limit = limits.maxScrambledPercent ?? defaultMaxScrambledPercent;
  const share = percentOf(looked.scrambled.length, looked.judged);
  const which = looked.scrambled.length === 0 ? '' : ` (${named(looked.scrambled)})`;
  const counts = `of ${looked.judged} changed files that were looked at ${looked.scrambled.length} look encrypted`;
  const detail = `${counts}${which}: ${shown(share)} %, allowed are ${limit} %`;
  return judged(share <= limit, { check: 'entropy', subject, detail });
}

const percentOf = (part: number, whole: number): number => (whole === 0 ? 0 : (part / whole) * 100);

const shown = (percent: number): string => (percent > 0 && percent < 1 ? 'less than 1' : String(Math.round(percent)));
