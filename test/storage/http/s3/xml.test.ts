import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeXml, parseXml, textsOf, xmlAnswer } from '../../../../storage-node/http/s3/xml.ts';
import { S3Error } from '../../../../storage-node/http/s3-error.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const malformed = (error: unknown): boolean => error instanceof S3Error && error.code === 'MalformedXML';

const refused: { name: string; document: string | Uint8Array }[] = [
  { name: 'nothing', document: '' },
  { name: 'no XML', document: 'hello' },
  { name: 'an open element', document: '<Delete><Object></Delete>' },
  { name: 'two roots', document: '<Delete/><Delete/>' },
  { name: 'another root', document: '<Remove/>' },
  { name: 'a document type', document: '<!DOCTYPE Delete><Delete/>' },
  { name: 'an entity of its own', document: '<!DOCTYPE d [<!ENTITY a "b">]><Delete>&a;</Delete>' },
  { name: 'an unknown entity', document: '<Delete>&nbsp;</Delete>' },
  { name: 'text between elements', document: '<Delete>x<Quiet>true</Quiet></Delete>' },
  { name: 'bytes that are no UTF-8', document: Buffer.from([0x3c, 0x61, 0xff, 0x3e]) },
  { name: 'another encoding', document: '<?xml version="1.0" encoding="UTF-16"?><Delete/>' },
  { name: 'a zero character', document: '<Delete>&#0;</Delete>' },
  { name: 'elements too deep', document: `<Delete>${'<a>'.repeat(20)}${'</a>'.repeat(20)}</Delete>` },
  { name: 'too many elements', document: `<Delete>${'<a/>'.repeat(70_000)}</Delete>` },
  { name: 'control characters beside CDATA', document: '<Delete>&#1;<![CDATA[x]]></Delete>' },
];

for (const { name, document } of refused) {
  test(`a document with ${name} is refused`, () => {
    assert.throws(() => parseXml(typeof document === 'string' ? bytes(document) : document, 'Delete'), malformed);
  });
}

test('declaration, namespace, prefix, comment and CDATA are read', () => {
  const text =
    '<?xml version="1.0" encoding="utf-8"?>\n<s3:Delete xmlns:s3="urn:x"><!-- a --><s3:Quiet><![CDATA[<true>]]></s3:Quiet></s3:Delete>\n';
  assert.deepEqual(textsOf(parseXml(bytes(text), 'Delete'), ['Quiet']), { Quiet: '<true>' });
});

test('an element that is not known, is there twice or has children is refused', () => {
  for (const inner of ['<B/>', '<A/><A/>', '<A><C/></A>']) {
    assert.throws(() => textsOf(parseXml(bytes(`<R>${inner}</R>`), 'R'), ['A']), malformed);
  }
});

test('control characters are read raw and as references', () => {
  const text = '<R><A>a\u0001\u0085b&#x1;&#13;\u2028</A></R>';
  assert.deepEqual(textsOf(parseXml(bytes(text), 'R'), ['A']), { A: 'a\u0001\u0085b\u0001\r\u2028' });
});

test('every text survives being written and read', () => {
  // XML has no way to write these two.
  const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll(/[\u0000\ufffe\uffff]/g, ''));
  fc.assert(
    fc.property(text, (value) => {
      const { body } = xmlAnswer('R', `<A>${escapeXml(value)}</A>`);
      assert.equal(textsOf(parseXml(bytes(String(body)), 'R'), ['A']).A, value);
    }),
    { numRuns: 500 },
  );
});
