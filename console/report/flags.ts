import { html, type Markup } from './markup.ts';

/** A named moment in a picture: a line down from its name. */
export interface Flag {
  x: number;
  text: string;
  /** Class of line and name. */
  kind: 'clock' | 'fault';
}

export interface PlacedFlag extends Flag {
  /** 0 is nearest to the picture. */
  tier: number;
}

const tierHeight = 17;
const characterWidth = 6.7;
const nameGap = 5;
/** Moments closer than this share a line. */
const sameLine = 1.5;

/** Gives each flag a height at which its name crosses no other name and no other line. */
export function placeFlags(flags: readonly Flag[]): PlacedFlag[] {
  const placed: PlacedFlag[] = [];
  // From the right: a name runs to the right of its line, so it must stand above every line that it would cross.
  for (const flag of merged(flags).toReversed()) {
    const end = endOf(flag);
    const crossed = placed.filter((other) => other.x < end).map((other) => other.tier);
    placed.push({ ...flag, tier: crossed.length === 0 ? 0 : Math.max(...crossed) + 1 });
  }
  return placed.toReversed();
}

function endOf(flag: Flag): number {
  return flag.x + nameGap + flag.text.length * characterWidth + nameGap;
}

/** Where the rightmost name ends. */
export function flagsEnd(flags: readonly Flag[]): number {
  return Math.max(0, ...flags.map(endOf));
}

function merged(flags: readonly Flag[]): Flag[] {
  const lines: Flag[] = [];
  for (const flag of flags.toSorted((a, b) => a.x - b.x)) {
    const last = lines[lines.length - 1];
    if (last !== undefined && flag.x - last.x < sameLine && flag.kind === last.kind)
      lines[lines.length - 1] = { ...last, text: `${last.text} · ${flag.text}` };
    else lines.push(flag);
  }
  return lines;
}

export function flagsHeight(flags: readonly PlacedFlag[]): number {
  return flags.length === 0 ? 0 : (Math.max(...flags.map((flag) => flag.tier)) + 1) * tierHeight + 4;
}

/** @param top where the picture begins, below the names; @param bottom where the lines end */
export function drawFlags(flags: readonly PlacedFlag[], top: number, bottom: number): Markup[] {
  return flags.map(({ x, text, kind, tier }) => {
    const y = top - 4 - tier * tierHeight;
    return html`<line class="flag ${kind}" x1="${x}" x2="${x}" y1="${y - 11}" y2="${bottom}" /><text
        class="flag-name ${kind}"
        x="${x + nameGap}"
        y="${y - 2}"
      >
        ${text}</text
      >`;
  });
}
