import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { goModeOf, nodeTypeOf, permissionsOf } from '../../activities/backup/repository/file-mode.ts';
import { compareText, fileText, jsonGo, quoteGo, unquoteGo } from '../../activities/backup/repository/go-text.ts';
import { formatTime, offsetMinutesOf, parseTime } from '../../activities/backup/repository/go-time.ts';
import { decodeTree, encodeTree, type TreeNode } from '../../activities/backup/repository/tree.ts';

// What Go's strconv.Quote and encoding/json print.
const quoted = [
  { name: 'plain text', text: 'plain text', go: 'plain text' },
  { name: 'quotes and backslashes', text: '"a"\\b', go: '\\"a\\"\\\\b' },
  { name: 'control characters with a letter', text: '\u0007\b\f\n\r\t\v', go: '\\a\\b\\f\\n\\r\\t\\v' },
  { name: 'other control characters', text: '\u0001\u001b\u007f', go: '\\x01\\x1b\\x7f' },
  {
    name: 'C1 controls and other things not printed',
    text: '\u0085\u00ad\u200b\u2028',
    go: '\\u0085\\u00ad\\u200b\\u2028',
  },
  { name: 'spaces other than the one', text: ' \u00a0\u3000', go: ' \\u00a0\\u3000' },
  { name: 'letters and pictures', text: 'é漢\u{1f600}', go: 'é漢\u{1f600}' },
  { name: 'a tag character beyond the basic plane', text: '\u{e0041}', go: '\\U000e0041' },
  { name: 'bytes that are no UTF-8', text: Buffer.from([0x61, 0xff, 0xc3, 0x62, 0xc3, 0xa9]), go: 'a\\xff\\xc3bé' },
  { name: 'a surrogate in UTF-8', text: Buffer.from([0xed, 0xa0, 0x80]), go: '\\xed\\xa0\\x80' },
];
for (const { name, text, go } of quoted) {
  test(`names are quoted as Go quotes: ${name}`, () => {
    assert.equal(quoteGo(text), go);
    const back = unquoteGo(go);
    assert.ok(back !== null && compareText(back, text) === 0);
  });
}

const refused = ['\\', 'a\\', '\\q', '"', '\\x4', '\\u12', '\\U00110000', '\\777', "\\'"];
for (const text of refused) {
  test(`a name quoted as ${JSON.stringify(text)} is refused, as Go refuses it`, () =>
    assert.equal(unquoteGo(text), null));
}

test('octal escapes are understood, though nobody writes them', () => assert.equal(unquoteGo('\\101\\x42'), 'AB'));

test('any bytes are quoted and unquoted without loss', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 30 }),
    fc.string({ unit: 'binary', minLength: 1 }).map((s) => Buffer.from(s)),
  );
  fc.assert(
    fc.property(bytes, (name) => {
      const back = unquoteGo(quoteGo(fileText(name)));
      assert.ok(back !== null && Buffer.from(back as string).equals(Buffer.from(name)));
      assert.equal(typeof back === 'string', isUtf8(name));
    }),
    { numRuns: 500 },
  );
});

test('names are compared by bytes', () => {
  const name = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.uint8Array().map(fileText),
    fc.constantFrom('\uff5e', '\u{1f600}'),
  );
  fc.assert(
    fc.property(name, name, (a, b) => {
      assert.equal(Math.sign(compareText(a, b)), Buffer.compare(Buffer.from(a as string), Buffer.from(b as string)));
    }),
  );
});

const json = [
  { text: '<a & b>', go: '"\\u003ca \\u0026 b\\u003e"' },
  { text: 'x\u2028\u2029', go: '"x\\u2028\\u2029"' },
  { text: '\b\f\n\r\t\u0000\\b', go: '"\\u0008\\u000c\\n\\r\\t\\u0000\\\\b"' },
  { text: Buffer.from([0x61, 0xff, 0x3c]), go: '"a\\ufffd\\u003c"' },
  { text: 'a\ufffd', go: '"a\ufffd"' },
];
for (const { text, go } of json) {
  test(`strings are JSON as Go writes it: ${go}`, () => assert.equal(jsonGo(text), go));
}

const times = [
  { ns: 0n, text: '1970-01-01T00:00:00Z' },
  { ns: 981_173_106_120_000_000n, text: '2001-02-03T04:05:06.12Z' },
  { ns: 981_173_106_000_000_001n, text: '2001-02-03T04:05:06.000000001Z' },
  { ns: -1n, text: '1969-12-31T23:59:59.999999999Z' },
  { ns: -62_135_596_800_000_000_000n, text: '0001-01-01T00:00:00Z' },
];
for (const { ns, text } of times) {
  test(`${text} is written and read to the nanosecond`, () => {
    assert.equal(formatTime(ns), text);
    assert.equal(parseTime(text), ns);
  });
}

test('times are read in any zone, and written in it again', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }),
      fc.integer({ min: -1439, max: 1439 }),
      (ns, offset) => {
        const text = formatTime(ns, offset);
        assert.equal(parseTime(text), ns);
        assert.equal(offsetMinutesOf(text), offset);
      },
    ),
  );
});

test('years that Go cannot write are moved to those it can', () => {
  assert.equal(formatTime(10n ** 21n).slice(0, 4), '9999');
  assert.equal(formatTime(-(10n ** 21n)).slice(0, 4), '0000');
});

for (const text of ['', '2001-02-03', '2001-02-03 04:05:06Z', '2001-13-03T04:05:06Z', '2001-02-03T04:05:06']) {
  test(`"${text}" is no time`, () => assert.equal(parseTime(text), null));
}

// Go's values were printed by restic for files of these modes.
const modes = [
  { posix: 0o100644, type: 'file', go: 0o644 },
  { posix: 0o104755, type: 'file', go: 8_389_101 },
  { posix: 0o041777, type: 'dir', go: 2_148_532_735 },
  { posix: 0o120777, type: 'symlink', go: 134_218_239 },
  { posix: 0o060644, type: 'dev', go: 67_109_284 },
  { posix: 0o020644, type: 'chardev', go: 69_206_436 },
  { posix: 0o010644, type: 'fifo', go: 33_554_852 },
];
for (const { posix, type, go } of modes) {
  test(`mode ${posix.toString(8)} is ${go} in Go, and back`, () => {
    assert.deepEqual([nodeTypeOf(posix), goModeOf(posix), permissionsOf(go)], [type, go, posix & 0o7777]);
  });
}

const node: TreeNode = {
  ...{ name: 'a', type: 'file', mode: 0o644, mtime: '2001-02-03T04:05:06Z', atime: '2001-02-03T04:05:06Z' },
  ...{ ctime: '2001-02-03T04:05:06Z', uid: 0, gid: 0, content: [] },
};

test('all there is of a node is written in the order of restic, and nothing that is empty', () => {
  const full: TreeNode = {
    ...{ ...node, name: Buffer.from([0x61, 0xff]), user: 'root', group: 'root', inode: 2n ** 63n, deviceId: 65_024 },
    ...{ sizeBytes: 3, links: 2, linkTarget: Buffer.from([0xfe]), device: 259, error: 'e', subtree: 'b'.repeat(64) },
    ...{ extendedAttributes: [{ name: 'user.a', value: Buffer.from('v') }], content: ['a'.repeat(64)] },
  };
  const written =
    '{"nodes":[{"name":"a\\\\xff","type":"file","mode":420,"mtime":"2001-02-03T04:05:06Z",' +
    '"atime":"2001-02-03T04:05:06Z","ctime":"2001-02-03T04:05:06Z","uid":0,"gid":0,"user":"root","group":"root",' +
    '"inode":9223372036854775808,"device_id":65024,"size":3,"links":2,"linktarget":"\\ufffd",' +
    '"linktarget_raw":"/g==","extended_attributes":[{"name":"user.a","value":"dg=="}],"device":259,' +
    `"content":["${'a'.repeat(64)}"],"subtree":"${'b'.repeat(64)}","error":"e"}]}\n`;
  assert.equal(Buffer.from(encodeTree([full])).toString(), written);
  assert.deepEqual(decodeTree(Buffer.from(written)), { kind: 'tree', nodes: [full] });
  const bare =
    '{"nodes":[{"name":"a","type":"file","mode":420,"mtime":"2001-02-03T04:05:06Z","atime":"2001-02-03T04:05:06Z","ctime":"2001-02-03T04:05:06Z","uid":0,"gid":0,"content":[]}]}\n';
  assert.equal(Buffer.from(encodeTree([node])).toString(), bare);
});

test('nodes are sorted by bytes, and two of one name are a bug', () => {
  const names = ['b', '\u{1f600}', 'a.b', 'a', '\uff5e', 'a/b'.slice(0, 1) + '0'];
  const tree = decodeTree(encodeTree(names.map((name) => ({ ...node, name }))));
  assert.ok(tree.kind === 'tree');
  assert.deepEqual(
    tree.nodes.map(({ name }) => name),
    ['a', 'a.b', 'a0', 'b', '\uff5e', '\u{1f600}'],
  );
  assert.throws(() => encodeTree([node, node]), /two entries named a/);
});

const damaged = [
  { name: 'no JSON', text: '{"nodes":[' },
  { name: 'no nodes', text: '{"nodes":3}' },
  { name: 'a list', text: 'null' },
  { name: 'a node without a name', text: '{"nodes":[{"type":"file"}]}' },
  { name: 'a name that leads out', text: '{"nodes":[{"name":"..","type":"dir"}]}' },
  { name: 'a name with a slash', text: '{"nodes":[{"name":"a/b","type":"file"}]}' },
  { name: 'a name with an escaped slash', text: '{"nodes":[{"name":"a\\\\x2fb","type":"file"}]}' },
  { name: 'an empty name', text: '{"nodes":[{"name":"","type":"file"}]}' },
  { name: 'a name with a zero byte', text: '{"nodes":[{"name":"a\\\\x00","type":"file"}]}' },
  { name: 'content that is no list', text: '{"nodes":[{"name":"a","type":"file","content":"x"}]}' },
];
for (const { name, text } of damaged) {
  test(`a tree with ${name} is damaged`, () => assert.equal(decodeTree(Buffer.from(text)).kind, 'damaged'));
}

test('a tree of null nodes is empty, as Go writes it', () => {
  assert.deepEqual(decodeTree(Buffer.from('{"nodes":null}\n')), { kind: 'tree', nodes: [] });
});
