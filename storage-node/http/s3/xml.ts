import { SaxesParser } from 'saxes';
import { malformedXml } from './refusals.ts';
import { type Answer } from '../operation.ts';

const xmlns = 'http://s3.amazonaws.com/doc/2006-03-01/';
const needsEscape = /[&<>"\u0000-\u001f\u007f-\u009f\u2028\ufffe\uffff]/;
const escaped = /[&<>"\u0000-\u001f\u007f-\u009f\u2028\ufffe\uffff]/g;
const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };

/** Text for an element. Control characters become references, as S3 writes them, so that odd keys survive. */
export function escapeXml(text: string): string {
  if (!needsEscape.test(text)) return text;
  return text.replace(escaped, (char) => named[char] ?? `&#x${char.charCodeAt(0).toString(16).toUpperCase()};`);
}

/** An element with text, or nothing where there is none. */
export function optional(name: string, text: string | undefined): string {
  return text === undefined ? '' : `<${name}>${escapeXml(text)}</${name}>`;
}

/** What stands before a document's content, and after it. */
export function xmlHead(root: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${xmlns}">`;
}
export function xmlTail(root: string): string {
  return `</${root}>`;
}

/** An answer whose document is `<root xmlns=...>content</root>`. */
export function xmlAnswer(root: string, content: string, headers?: Record<string, string>): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', ...headers },
    body: xmlHead(root) + content + xmlTail(root),
  };
}

export function ownerXml(owner: string, element = 'Owner'): string {
  const id = escapeXml(owner);
  return `<${element}><ID>${id}</ID><DisplayName>${id}</DisplayName></${element}>`;
}

/** An element of a document a client sent. Attributes are dropped, names lose their prefix. */
export interface XmlElement {
  name: string;
  /** Of an element without children; '' otherwise. */
  text: string;
  children: XmlElement[];
}

/** As deep as any document of S3 goes, and some. */
const maxDepth = 10;
/** CompleteMultipartUpload has up to 10,000 parts of four elements each. */
const maxElements = 65_536;

/**
 * Reads a client's document strictly: UTF-8, no document type, no entities of its own.
 * @throws S3Error MalformedXML, also when the root has another name.
 */
export function parseXml(bytes: Uint8Array, root: string): XmlElement {
  const element = readTree(decodeXml(bytes));
  if (element.name !== root) throw malformedXml();
  return element;
}

function decodeXml(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw malformedXml(error);
  }
}

// XML 1.0 cannot say a control character at all; object keys may hold them and clients send them either way.
const controls = /[\u0001-\u0008\u000b\u000c\u000e-\u001f]|&#(?:x0*1?[0-9a-f]|0*[12]?[0-9]|0*3[01]);/i;
const notInXml11 = /[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028]/g;

/** Rewrites a document with control characters so that XML 1.1, which knows references to them, reads it unchanged. */
function asXml11(text: string): string {
  // A reference means nothing there: it would be read as another key.
  if (text.includes('<![CDATA[')) throw malformedXml();
  return text.replace(notInXml11, (char) => `&#${char.charCodeAt(0)};`);
}

function readTree(text: string): XmlElement {
  const withControls = controls.test(text);
  const parser = new SaxesParser({ defaultXMLVersion: withControls ? '1.1' : '1.0', forceXMLVersion: true });
  const open: XmlElement[] = [{ name: '', text: '', children: [] }];
  let elements = 0;
  parser.on('doctype', () => {
    throw new Error('a document type is not allowed');
  });
  parser.on('xmldecl', ({ encoding }) => {
    if (encoding !== undefined && !/^utf-?8$/i.test(encoding)) throw new Error(`encoding ${encoding}`);
  });
  parser.on('opentag', ({ name }) => {
    elements += 1;
    if (open.length > maxDepth || elements > maxElements) throw new Error('too many elements');
    const element = { name: name.slice(name.indexOf(':') + 1), text: '', children: [] };
    open.at(-1)!.children.push(element);
    open.push(element);
  });
  const addText = (piece: string): void => {
    open.at(-1)!.text += piece;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => {
    const element = open.pop()!;
    if (element.children.length === 0) return;
    if (element.text.trim() !== '') throw new Error('text between elements');
    element.text = '';
  });
  try {
    parser.write(withControls ? asXml11(text) : text).close();
  } catch (error) {
    throw malformedXml(error);
  }
  return open[0]!.children[0]!;
}

/**
 * The texts of an element's children, each there at most once.
 * @throws S3Error MalformedXML for a child that is not in `known`: what is not understood is never ignored.
 */
export function textsOf<Name extends string>(
  element: XmlElement,
  known: readonly Name[],
): Partial<Record<Name, string>> {
  const texts: Partial<Record<Name, string>> = {};
  for (const child of element.children) {
    const name = known.find((candidate) => candidate === child.name);
    if (name === undefined || texts[name] !== undefined || child.children.length > 0) throw malformedXml();
    texts[name] = child.text;
  }
  return texts;
}
