/** The answer is no XML, or not such as stores write. */
export class XmlDamaged extends Error {}

const lt = 0x3c;
const gt = 0x3e;
const slash = 0x2f;
const amp = 0x26;
const bang = 0x21;
const question = 0x3f;
const colon = 0x3a;
const quote = 0x22;
const apostrophe = 0x27;
const bracket = 0x5b;
const carriageReturn = 0x0d;
const cdata = '<![CDATA[';

/**
 * A pull parser for what object stores answer: elements, text, references, CDATA; comments, declarations and processing
 * instructions are stepped over. A document type is refused, so no entity can be defined. It checks that tags match and
 * that nothing is cut off. Works on the bytes, and makes a string only of what is asked for: a page of 1,000 keys takes
 * a sixth of the time a general parser does (`bench/objects.ts`), to the same result (test/unit/objects-xml.test.ts).
 */
export class XmlReader {
  readonly #bytes: Buffer;
  readonly #open: string[] = [];
  #at: number;
  /** An element that closes itself is met twice. */
  #closesItself = false;
  #begun = false;
  /** Of the tag just met, without a prefix. Attributes are not kept. */
  name = '';

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  }

  /** Moves to the next tag. `end` when the document is over. */
  next(): 'open' | 'close' | 'end' {
    if (this.#closesItself) {
      this.#closesItself = false;
      this.name = this.#open.pop()!;
      return 'close';
    }
    do {
      if (!this.#toTag()) return 'end';
    } while (this.#stepOver());
    return this.#bytes[this.#at + 1] === slash ? this.#closing() : this.#opening();
  }

  /** The text between the tag just opened and its end; moves behind that. Child elements are refused. */
  text(): string {
    if (this.#closesItself) {
      this.next();
      return '';
    }
    const bytes = this.#bytes;
    let gathered = '';
    for (;;) {
      gathered += this.#piece();
      if (this.#at >= bytes.length || bytes[this.#at + 1] === slash) break;
      const dataFrom = this.#at + cdata.length;
      const isData = bytes[this.#at + 2] === bracket;
      if (!this.#stepOver()) this.#damaged(`an element in <${this.name}>`);
      if (isData) gathered += oneKindOfLines(bytes.toString('utf8', dataFrom, this.#at - 3));
    }
    this.next();
    return gathered;
  }

  /** Like `text`, for a whole number of at most 15 digits. */
  number(): number {
    const value = this.text().trim();
    return /^\d{1,15}$/.test(value) ? Number(value) : this.#damaged(`<${this.name}> is no number`);
  }

  /** Moves behind the end of the element just opened, whatever is in it. */
  skip(): void {
    for (let depth = 1; depth > 0;) depth += this.next() === 'open' ? 1 : -1;
  }

  /** Moves to the next `<`. False: the document is over. */
  #toTag(): boolean {
    const bytes = this.#bytes;
    const from = this.#at;
    while (this.#at < bytes.length && bytes[this.#at] !== lt) this.#at++;
    if (this.#open.length === 0 && !isBlank(bytes, from, this.#at)) this.#damaged('text outside the document');
    if (this.#at < bytes.length) return true;
    if (this.#open.length > 0 || !this.#begun) this.#damaged('the document is cut off');
    return false;
  }

  /** Text up to the next `<`, with its references resolved. */
  #piece(): string {
    const bytes = this.#bytes;
    const from = this.#at;
    let at = from;
    let odd = false;
    for (; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === lt) break;
      if (byte === amp || byte === carriageReturn) odd = true;
    }
    this.#at = at;
    const piece = bytes.toString('utf8', from, at);
    return odd ? resolved(oneKindOfLines(piece), (why) => this.#damaged(why)) : piece;
  }

  /** Steps over what is no element, with its `<` ahead. */
  #stepOver(): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    if (bytes[at + 1] === question) this.#at = this.#behind('?>', at);
    else if (bytes[at + 1] !== bang) return false;
    else if (bytes.toString('latin1', at, at + 4) === '<!--') this.#at = this.#behind('-->', at + 4);
    else if (this.#open.length > 0 && bytes.toString('latin1', at, at + cdata.length) === cdata) {
      this.#at = this.#behind(']]>', at);
    } else this.#damaged('a document type is not allowed');
    return true;
  }

  #closing(): 'close' {
    const bytes = this.#bytes;
    const from = this.#at + 2;
    let to = from;
    while (to < bytes.length && bytes[to] !== gt) to++;
    if (to >= bytes.length) this.#damaged('the document is cut off');
    const last = this.#open.pop();
    if (last === undefined || nameAt(bytes, from, trimEnd(bytes, from, to)) !== last) {
      this.#damaged('a tag does not match');
    }
    this.#at = to + 1;
    this.name = last!;
    return 'close';
  }

  #opening(): 'open' {
    const bytes = this.#bytes;
    if (this.#begun && this.#open.length === 0) this.#damaged('a second document');
    const from = this.#at + 1;
    let to = from;
    while (to < bytes.length && isNamePart(bytes[to]!)) to++;
    if (to === from) this.#damaged('a tag has no name');
    this.name = nameAt(bytes, from, to);
    to = this.#endOfTag(to);
    this.#closesItself = bytes[to - 1] === slash;
    this.#open.push(this.name);
    this.#at = to + 1;
    this.#begun = true;
    return 'open';
  }

  /** Where the tag's `>` is: attributes may hold others in their quotes. */
  #endOfTag(from: number): number {
    const bytes = this.#bytes;
    let within = 0;
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (within !== 0) within = byte === within ? 0 : within;
      else if (byte === quote || byte === apostrophe) within = byte;
      else if (byte === gt) return at;
      else if (byte === lt) break;
    }
    return this.#damaged('a tag is not closed');
  }

  #behind(text: string, from: number): number {
    const found = this.#bytes.indexOf(text, from, 'latin1');
    return found < 0 ? this.#damaged(`${text} is missing`) : found + text.length;
  }

  #damaged(why: string): never {
    throw new XmlDamaged(`${why} at byte ${this.#at}`);
  }
}

function isBlank(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! > 0x20) return false;
  return true;
}

function trimEnd(bytes: Buffer, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1]! <= 0x20) end--;
  return end;
}

function isNamePart(byte: number): boolean {
  return byte > 0x20 && byte !== gt && byte !== slash && byte !== lt;
}

/** Names met before, by a hash of their bytes: a page has few names and thousands of tags. */
const knownNames: ({ bytes: Buffer; name: string } | undefined)[] = Array.from({ length: 512 });

function nameAt(bytes: Buffer, from: number, to: number): string {
  let hash = to - from;
  for (let i = from; i < to; i++) hash = (hash * 31 + bytes[i]!) & 511;
  const known = knownNames[hash];
  if (known !== undefined && sameBytes(known.bytes, bytes, from, to)) return known.name;
  const own = Buffer.from(bytes.subarray(from, to));
  const name = own.toString('utf8', own.lastIndexOf(colon) + 1);
  knownNames[hash] = { bytes: own, name };
  return name;
}

function sameBytes(known: Buffer, bytes: Buffer, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[from + i]) return false;
  return true;
}

/** As XML wants it read; a carriage return that is meant comes as a reference. */
function oneKindOfLines(text: string): string {
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function resolved(text: string, damaged: (why: string) => never): string {
  // As the quotes of nearly every ETag come.
  const plain = text.includes('&quot;') ? text.replaceAll('&quot;', '"') : text;
  if (!plain.includes('&')) return plain;
  return text.replace(/&([^;&]{0,12})(;?)/g, (whole, body: string, end: string) => {
    const plain = named[body];
    if (end === '' || body === '') return damaged(`the reference ${whole} is not closed`);
    if (plain !== undefined) return plain;
    const match = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(body);
    const point =
      match === null ? Number.NaN : match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : damaged(`the reference ${whole} is not known`);
  });
}
