import { linearScale, secondTicks } from './scale.ts';

/** A span of time on a page; long idle spans are cut short so that what happened can be seen. */
export interface TimeAxis {
  /** Horizontal place of a moment. */
  x(atMs: number): number;
  cuts: { fromMs: number; toMs: number; x0: number; x1: number }[];
  /** Round moments, counted from `zeroMs`, that do not lie in a cut. */
  ticks(zeroMs: number, wanted: number): { seconds: number; x: number }[];
}

export interface Span {
  fromMs: number;
  toMs: number;
}

const cutWidth = 64;
/** A tick nearer to the middle of a cut than this would run into its name. */
const cutNameWidth = 62;
/** An idle span is cut when it is this many times longer than all the work in the picture. */
const idleTimes = 3;

/** @param busy spans in which something was done, in any order */
export function timeAxis(domain: Span, busy: readonly Span[], range: readonly [number, number]): TimeAxis {
  const idle = idleSpans(domain, busy);
  const busyMs = domain.toMs - domain.fromMs - sum(idle);
  const cut = busyMs <= 0 ? [] : idle.filter((span) => span.toMs - span.fromMs > idleTimes * busyMs);
  const [x0, x1] = range;
  const shownMs = domain.toMs - domain.fromMs - sum(cut);
  const perMs = (x1 - x0 - cut.length * cutWidth) / (shownMs || 1);
  const cuts: TimeAxis['cuts'] = [];
  let x = x0;
  let atMs = domain.fromMs;
  const pieces = cut.map((span) => {
    const start = x + (span.fromMs - atMs) * perMs;
    const piece = { fromMs: atMs, toMs: span.fromMs, x0: x, x1: start };
    cuts.push({ ...span, x0: start, x1: start + cutWidth });
    x = start + cutWidth;
    atMs = span.toMs;
    return piece;
  });
  pieces.push({ fromMs: atMs, toMs: domain.toMs, x0: x, x1 });
  const place = placeOn([...pieces, ...cuts].sort((a, b) => a.fromMs - b.fromMs));
  return { x: place, cuts, ticks: (zeroMs, wanted) => ticksOn(pieces, cuts, zeroMs, wanted) };
}

type Piece = TimeAxis['cuts'][number];

function placeOn(pieces: readonly Piece[]): (atMs: number) => number {
  return (atMs) => {
    const piece = pieces.find((p) => atMs <= p.toMs) ?? pieces[pieces.length - 1];
    if (piece === undefined) return 0;
    return linearScale([piece.fromMs, piece.toMs], [piece.x0, piece.x1])(Math.max(atMs, piece.fromMs));
  };
}

/** The same step on every piece, so that equal distances mean equal times. */
function ticksOn(pieces: readonly Piece[], cuts: readonly Piece[], zeroMs: number, wanted: number) {
  const shownMs = pieces.reduce((total, piece) => total + piece.toMs - piece.fromMs, 0);
  const place = placeOn([...pieces, ...cuts].sort((a, b) => a.fromMs - b.fromMs));
  const [first = 0, second = 1] = secondTicks(0, shownMs / 1000, wanted);
  const step = second - first || 1;
  const free = (x: number): boolean => cuts.every((cut) => Math.abs(x - (cut.x0 + cut.x1) / 2) > cutNameWidth);
  const ticks = pieces.flatMap((piece) => {
    if (piece.toMs <= piece.fromMs) return [];
    const from = Math.ceil((piece.fromMs - zeroMs) / 1000 / step - 1e-6);
    const to = Math.floor((piece.toMs - zeroMs) / 1000 / step + 1e-6);
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => {
      const seconds = (from + at) * step;
      return { seconds, x: place(zeroMs + seconds * 1000) };
    });
  });
  return ticks.filter((tick) => free(tick.x));
}

function idleSpans(domain: Span, busy: readonly Span[]): Span[] {
  const idle: Span[] = [];
  let atMs = domain.fromMs;
  for (const span of busy.toSorted((a, b) => a.fromMs - b.fromMs)) {
    if (span.fromMs > atMs) idle.push({ fromMs: atMs, toMs: span.fromMs });
    atMs = Math.max(atMs, span.toMs);
  }
  if (domain.toMs > atMs) idle.push({ fromMs: atMs, toMs: domain.toMs });
  return idle;
}

function sum(spans: readonly Span[]): number {
  return spans.reduce((total, span) => total + span.toMs - span.fromMs, 0);
}
