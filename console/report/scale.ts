/** Where a value lies in a picture. */
export interface Scale {
  (value: number): number;
  from: number;
  to: number;
}

export function linearScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const [d0, d1] = domain;
  const [r0, r1] = range;
  const width = d1 - d0 || 1;
  const at = (value: number): number => r0 + ((value - d0) / width) * (r1 - r0);
  return Object.assign(at, { from: d0, to: d1 });
}

/** Round values of a span, about `wanted` of them: 1, 2 or 5 times a power of ten. */
export function niceTicks(from: number, to: number, wanted: number): number[] {
  const step = niceStep((to - from) / wanted);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => (first + at) * step);
}

function niceStep(rough: number): number {
  if (!(rough > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = rough / power;
  return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

const secondSteps = [
  0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400,
];

/** As `niceTicks`, in steps that a clock has. */
export function secondTicks(from: number, to: number, wanted: number): number[] {
  const rough = (to - from) / wanted;
  const step = secondSteps.find((candidate) => candidate >= rough) ?? niceStep(rough);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => (first + at) * step);
}

/** A point on an axis of time, from its zero: `0`, `2.5 s`, `1:30`, `2:15:00`; negative before it. */
export function tickText(seconds: number): string {
  const sign = seconds < 0 ? '−' : '';
  const size = Math.abs(seconds);
  if (size < 1e-9) return '0';
  if (size < 120) return `${sign}${Number(size.toFixed(2))} s`;
  const whole = Math.round(size);
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${sign}${minutes}:${two(whole % 60)} min`;
  return `${sign}${Math.floor(minutes / 60)}:${two(minutes % 60)} h`;
}
