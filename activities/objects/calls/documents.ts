import { type AnsweredCall, type Call, type Caller } from '../http/caller.ts';
import { type CallOptions } from '../types.ts';
import { XmlDamaged, XmlReader } from '../xml/reader.ts';

export interface Document<T> {
  options: CallOptions | undefined;
  root: string;
  /** Called with the reader behind the root's tag; `answer` for headers. */
  read: (reader: XmlReader, answer: AnsweredCall) => T;
}

/**
 * Calls and reads the XML that is answered. A refusal that comes as a success, as S3 sends when it took long, is an
 * error like any other; a document that is damaged or another one is asked for again.
 */
export function parsed<T>(caller: Caller, call: Call, { options, root, read }: Document<T>): Promise<T> {
  return caller.call(call, options, async ({ status, headers, body }) => {
    const answer = { status, headers, bytes: await body.bytes() };
    const reader = new XmlReader(answer.bytes);
    reader.next();
    if (reader.name === 'Error') throw caller.refused(call, answer);
    if (reader.name !== root) throw new XmlDamaged(`<${reader.name}> where <${root}> was expected`);
    const result = read(reader, answer);
    if (reader.next() !== 'end') throw new XmlDamaged('the document goes on');
    return result;
  });
}

/** Percent-decoding of `encoding-type=url`: some write a space as a plus sign, all write a plus sign as %2B. */
export function decoded(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw new XmlDamaged(`a key that is not UTF-8: ${text.slice(0, 100)}`);
  }
}

/** Unix milliseconds of an ISO time. */
export function timeOf(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new XmlDamaged(`"${text.slice(0, 40)}" is no time`);
  return ms;
}

/** The texts of the elements right below the root (or the element just opened), by name; the last one counts. */
export function fieldsOf(reader: XmlReader, names: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  while (reader.next() === 'open') {
    const { name } = reader;
    if (names.includes(name)) fields.set(name, reader.text());
    else reader.skip();
  }
  return fields;
}
