import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { XmlDamaged, XmlReader } from '../../activities/objects/xml/reader.ts';

/** A document as both parsers see it: names, and the text of elements without children. */
interface Element {
  name: string;
  children: Element[];
  text: string;
}

function ours(document: Buffer): Element {
  const outline = (reader: XmlReader): Element => {
    const element: Element = { name: reader.name, children: [], text: '' };
    while (reader.next() === 'open') element.children.push(outline(reader));
    return element;
  };
  const skeleton = new XmlReader(document);
  assert.equal(skeleton.next(), 'open');
  const root = outline(skeleton);
  assert.equal(skeleton.next(), 'end');
  // Once more, now for the texts of the leaves.
  const reader = new XmlReader(document);
  reader.next();
  const fill = (element: Element): void => {
    if (element.children.length === 0) {
      element.text = reader.text();
      return;
    }
    for (const child of element.children) {
      assert.equal(reader.next(), 'open');
      fill(child);
    }
    assert.equal(reader.next(), 'close');
  };
  fill(root);
  return root;
}

function theirs(document: Buffer): Element {
  const parser = new SaxesParser();
  const root: Element = { name: '', children: [], text: '' };
  const open = [root];
  parser.on('opentag', ({ name }) => {
    const element: Element = { name: name.replace(/^.*:/, ''), children: [], text: '' };
    open.at(-1)!.children.push(element);
    open.push(element);
  });
  const add = (text: string): void => {
    open.at(-1)!.text += text;
  };
  parser.on('text', add);
  parser.on('cdata', add);
  parser.on('closetag', () => {
    const element = open.pop()!;
    if (element.children.length > 0) element.text = '';
  });
  parser.on('error', (error) => {
    throw error;
  });
  parser.write(document.toString('utf8')).close();
  return root.children[0]!;
}

const escaped = (text: string): string =>
  text.replace(/[&<>"'\r]/g, (char) => `&#${char === '<' ? 'x3C' : char.charCodeAt(0)};`);

/** Characters XML can hold; what it cannot is percent-encoded by stores. */
const character = fc.oneof(
  fc.constantFrom(...Array.from('&<>"\'\r\n\t %/]-?!=Ａ😀é\u0085\u2028')),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
);
const content = fc
  .array(character, { maxLength: 12 })
  .map((characters) => characters.join(''))
  .filter((text) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text));

const elementName = fc.constantFrom('Key', 'Contents', 'a', 'x:Prefix', 'Größe', 'Key2');
const decoration = fc.constantFrom('', ' ', '\n  ', '<!-- a > comment <Key> -->', '<?pi >?>');
const attributes = fc.constantFrom('', ' xmlns="http://s3/"', " a='>/' b=\"'<'\"".replace('<', '&lt;'), '\n c="" ');

const leaf = fc
  .record({ name: elementName, attributes, text: content, form: fc.constantFrom('text', 'cdata', 'mixed', 'empty') })
  .map(({ name, attributes: extra, text, form }) => {
    const data = text.replaceAll(']]>', '').replaceAll('\r', '');
    if (form === 'empty') return `<${name}${extra}/>`;
    if (form === 'cdata') return `<${name}${extra}><![CDATA[${data}]]></${name} >`;
    if (form === 'mixed') return `<${name}>${escaped(text)}<!-- > --><![CDATA[${data}]]>&amp;</${name}>`;
    return `<${name}${extra}>${escaped(text)}</${name}>`;
  });
const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc
      .record({
        name: elementName,
        attributes,
        children: fc.array(tie('tree'), { minLength: 1, maxLength: 5 }),
        decoration,
      })
      .map(
        (one) => `<${one.name}${one.attributes}>${one.children.map((c) => one.decoration + c).join('')}</${one.name}>`,
      ),
  ),
}));

test('documents mean the same to this reader as to a general parser', () => {
  fc.assert(
    fc.property(tree, fc.boolean(), (body, declared) => {
      // Prefixes stand for names only where they are bound; saxes does not look without `xmlns: true`.
      const document = Buffer.from(`${declared ? '<?xml version="1.0" encoding="UTF-8"?>\n' : ''}${body}\n`);
      assert.deepEqual(ours(document), theirs(document));
    }),
    { numRuns: 500 },
  );
});

test('a document cut off anywhere is damaged, never shorter', () => {
  const whole = Buffer.from('<?xml version="1.0"?><a b="c"><d>e&amp;f</d><g/><!-- h --><i><![CDATA[j]]></i></a>');
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => ours(whole.subarray(0, length)), XmlDamaged, `${length} bytes`);
  }
  assert.equal(ours(whole).children.length, 3);
});

const damaged: { name: string; document: string }[] = [
  { name: 'tags that cross', document: '<a><b></a></b>' },
  { name: 'an end without a beginning', document: '</a>' },
  { name: 'two documents', document: '<a/><b/>' },
  { name: 'text behind the document', document: '<a/>b' },
  { name: 'a document type', document: '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>' },
  { name: 'an entity nobody defined', document: '<a>&b;</a>' },
  { name: 'a reference that is not closed', document: '<a>b&amp c</a>' },
  { name: 'a code point that is none', document: '<a>&#x110000;</a>' },
  { name: 'a tag within a tag', document: '<a <b>></a>' },
  { name: 'a page of HTML', document: '<html><br><p>502 Bad Gateway</html>' },
  { name: 'no XML at all', document: 'upstream connect error' },
  { name: 'nothing', document: '' },
];
for (const { name, document } of damaged) {
  test(`${name}: refused`, () => {
    assert.throws(() => ours(Buffer.from(document)), XmlDamaged);
  });
}

test('an element where text is wanted is refused, and skipped when it is not wanted', () => {
  const reader = (): XmlReader => {
    const one = new XmlReader(Buffer.from('<a><b>1<c>2</c></b><d>3</d></a>'));
    one.next();
    one.next();
    return one;
  };
  assert.throws(() => reader().text(), XmlDamaged);
  const skipping = reader();
  skipping.skip();
  assert.deepEqual([skipping.next(), skipping.name, skipping.number()], ['open', 'd', 3]);
});

for (const text of ['', '-1', '1e3', '0x1', '9999999999999999', ' ', '1.5']) {
  test(`"${text}" is no number`, () => {
    const reader = new XmlReader(Buffer.from(`<a>${text}</a>`));
    reader.next();
    assert.throws(() => reader.number(), XmlDamaged);
  });
}
