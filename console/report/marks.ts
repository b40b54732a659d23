import { html, type Markup } from './markup.ts';

export type Mood = 'good' | 'bad' | 'unsure';

/** Shape and colour together: the shape alone must be enough. */
export function mark(mood: Mood, kind = 'mark'): Markup {
  return html`<svg
    class="${kind} ${mood}"
    viewBox="0 0 24 24"
    aria-hidden="true"
    fill="none"
    stroke="currentColor"
    stroke-width="2.4"
    stroke-linecap="round"
    stroke-linejoin="round"
  >
    ${shapes[mood]}
  </svg>`;
}

const shapes: Record<Mood, Markup> = {
  good: html`<circle cx="12" cy="12" r="10.4" /><path d="M7.4 12.4l3.2 3.2 6-7" />`,
  bad: html`<path d="M7.7 1.8h8.6l5.9 5.9v8.6l-5.9 5.9H7.7l-5.9-5.9V7.7z" /><path
      d="M8.6 8.6l6.8 6.8M15.4 8.6l-6.8 6.8"
    />`,
  unsure: html`<path d="M12 2l10 10-10 10L2 12z" /><path d="M12 7.4v5.6M12 16.4v.1" />`,
};

export const moodOfVerdict = {
  passed: 'good',
  failed: 'bad',
  unproven: 'unsure',
  running: 'unsure',
} as const satisfies Record<string, Mood>;

export const moodOfObjective = { met: 'good', missed: 'bad', unknown: 'unsure' } as const satisfies Record<
  string,
  Mood
>;
