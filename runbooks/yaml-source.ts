import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import { MusterError } from '../workflows/engine/errors.ts';

export type YamlPath = readonly (string | number)[];

/** 1-based, as editors count. */
export interface Position {
  line: number;
  column: number;
}

/** A parsed file that still knows where each value stood. */
export interface YamlSource {
  fileName: string;
  /** Plain data; nothing in it was checked yet. */
  value: unknown;
  /** Position of the key or the value at a path; of the nearest thing around it when the path leads nowhere. */
  locate(path: YamlPath, part: 'key' | 'value'): Position;
}

type SourceCode = 'ESTATE_INVALID' | 'RUNBOOK_INVALID';

/**
 * Parses YAML text. References stay as they are: nothing is read but the text.
 * @throws MusterError with the given code, naming file, line and column of every syntax error and quoting no value
 */
export function readYaml(text: string, fileName: string, code: SourceCode): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, merge: true });
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const broken = document.errors.map((error) => {
    const { line, column } = place(error.pos[0]);
    return `${fileName}:${line}:${column}: ${syntaxText[error.code] ?? otherSyntaxText}`;
  });
  if (broken.length > 0) throw new MusterError(code, [...new Set(broken)].join('\n'));
  return { fileName, value: plainData(), locate: (path, part) => place(offsetOf(document, path, part)) };

  function plainData(): unknown {
    try {
      const value: unknown = document.toJS({ maxAliasCount: 100 });
      // Throws when an alias leads back into itself: nothing below could walk such data to its end.
      JSON.stringify(value);
      return value;
    } catch {
      const { line, column } = place(danglingOffset(document));
      const what = 'an alias (*name) or a merge (<<) points at nothing that can be used';
      const fix = 'define the anchor (&name) on a mapping above it';
      throw new MusterError(code, `${fileName}:${line}:${column}: ${what}. Fix: ${fix}`);
    }
  }
}

/** The library's own messages quote the text around an error, which may be a secret: these never do. */
const syntaxText: Partial<Record<string, string>> = {
  BAD_INDENT: 'the indentation does not fit, or a bracket is not closed. Fix: indent with the lines around it',
  BAD_SCALAR_START: 'a value cannot start with this character. Fix: put the value in quotes',
  BAD_DQ_ESCAPE: 'unknown escape in a quoted text. Fix: write \\\\ for a backslash, or use single quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " on one line. Fix: put the value in quotes',
  DUPLICATE_KEY: 'this key stands here twice. Fix: remove one of them',
  MISSING_CHAR: 'a quote, bracket or colon is missing. Fix: close what was opened before here',
  MULTILINE_IMPLICIT_KEY: 'a key without a value. Fix: write "key: value"',
  MULTIPLE_DOCS: 'a second document starts here. Fix: keep one document in a file (one "---" at most)',
  NON_STRING_KEY: 'a key must be text. Fix: write a plain name before the colon',
  TAB_AS_INDENT: 'a tab is used to indent. Fix: indent with spaces',
};
const otherSyntaxText = 'not valid YAML here. Fix: check brackets, quotes and indentation around this place';

/** Where the first alias without an anchor, or the first merge of something else than a mapping stands. */
function danglingOffset(document: Document): number {
  let offset = 0;
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return undefined;
      offset = startOf(alias) ?? 0;
      return visit.BREAK;
    },
    Pair: (_, { key, value }) => {
      if (!isScalar(key) || key.value !== '<<' || isMap(resolve(document, value))) return undefined;
      offset = startOf(key) ?? 0;
      return isAlias(value) ? undefined : visit.BREAK;
    },
  });
  return offset;
}

function offsetOf(document: Document, path: YamlPath, part: 'key' | 'value'): number {
  let node = resolve(document, document.contents);
  let offset = startOf(node) ?? 0;
  for (const [index, segment] of path.entries()) {
    const next = childOf(node, segment);
    if (next === null) return offset;
    const wantsKey = part === 'key' && index === path.length - 1;
    offset = (wantsKey ? startOf(next.key) : startOf(next.value)) ?? startOf(next.key) ?? offset;
    if (isMap(next.value) && !wantsKey && !next.value.flow) offset = startOf(next.key) ?? offset;
    node = resolve(document, next.value);
  }
  return offset;
}

interface Child {
  key: Node | null;
  value: Node | null;
}

function childOf(node: Node | null, segment: string | number): Child | null {
  if (isSeq(node) && typeof segment === 'number') {
    const item = node.items[segment] as Node | undefined;
    return item === undefined ? null : { key: item, value: item };
  }
  if (!isMap(node)) return null;
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(segment));
  return pair === undefined ? null : { key: pair.key as Node, value: pair.value as Node | null };
}

function resolve(document: Document, node: unknown): Node | null {
  if (isAlias(node)) return node.resolve(document) ?? null;
  return (node ?? null) as Node | null;
}

/** An empty value has a range of no length: its key is the better place to point at. */
function startOf(node: Node | null): number | null {
  const range = node?.range;
  if (range === undefined || range === null) return null;
  return range[0] === range[1] ? null : range[0];
}
