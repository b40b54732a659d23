/** Markup that cannot be forgotten to escape: everything put into the template is text unless it is markup itself. */
const text = Symbol('markup');

export interface Markup {
  readonly [text]: string;
}

export type Content = Markup | string | number | null | undefined | false | readonly Content[];

/** `html\`<td>${value}</td>\``: values are escaped, markup and lists of markup are taken over, null and false vanish. */
export function html(parts: TemplateStringsArray, ...values: Content[]): Markup {
  return { [text]: parts.map((part, at) => (at === 0 ? part : write(values[at - 1]) + part)).join('') };
}

/** Attributes of an SVG or HTML element; undefined ones are left out. */
export function attributes(values: Record<string, string | number | undefined>): Markup {
  const written = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [` ${name}="${escape(typeof value === 'number' ? shortNumber(value) : value)}"`],
  );
  return { [text]: written.join('') };
}

/** For text that this program itself wrote, such as a style sheet. */
export function trusted(markup: string): Markup {
  return { [text]: markup };
}

export function render(content: Content): string {
  return write(content);
}

function write(content: Content): string {
  if (content === null || content === undefined || content === false) return '';
  if (typeof content === 'number') return escape(shortNumber(content));
  if (typeof content === 'string') return escape(content);
  if (isMarkup(content)) return content[text];
  return content.map(write).join('');
}

function isMarkup(content: object): content is Markup {
  return text in content;
}

/** Two decimals are enough for a coordinate. */
function shortNumber(value: number): string {
  return String(Math.round(value * 100) / 100);
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Also drops characters that no document may hold: controls and halves of surrogate pairs. */
function escape(value: string): string {
  return value
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff]|\p{Cs}/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
