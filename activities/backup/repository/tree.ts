import { MusterError } from '../../../workflows/engine/errors.ts';
import type { NodeType } from './file-mode.ts';
import { compareText, jsonGo, quoteGo, unquoteGo, type FileText } from './go-text.ts';

/** One entry of a directory. Numbers beyond 2^53 (inodes of some file systems) are big integers. */
export interface TreeNode {
  readonly name: FileText;
  readonly type: NodeType;
  /** Go's bits: see `goModeOf` and `permissionsOf`. */
  readonly mode: number;
  /** RFC 3339 to nanoseconds: see `formatTime`. */
  readonly mtime: string;
  readonly atime: string;
  readonly ctime: string;
  readonly uid: number;
  readonly gid: number;
  readonly user?: string;
  readonly group?: string;
  readonly inode?: number | bigint;
  /** `st_dev`: the device that the file lies on. */
  readonly deviceId?: number | bigint;
  readonly sizeBytes?: number | bigint;
  readonly links?: number | bigint;
  readonly linkTarget?: FileText;
  readonly extendedAttributes?: readonly ExtendedAttribute[];
  /** `st_rdev`: the device that the file is. */
  readonly device?: number | bigint;
  /** Ids of the data blobs of a file, in hexadecimal; null for what is no file. */
  readonly content: readonly string[] | null;
  /** Id of the tree of a directory, in hexadecimal. */
  readonly subtree?: string;
  readonly error?: string;
  /** What other systems keep of a file, as it stands in the tree. */
  readonly genericAttributes?: unknown;
}

export interface ExtendedAttribute {
  readonly name: string;
  readonly value: Uint8Array;
}

/**
 * The plaintext of a tree blob, byte for byte as restic would write it. Sorts the nodes by name.
 * @throws MusterError INTERNAL when two have the same name
 */
export function encodeTree(nodes: readonly TreeNode[]): Uint8Array {
  const sorted = nodes.toSorted((a, b) => compareText(a.name, b.name));
  for (let i = 1; i < sorted.length; i += 1) {
    const [before, node] = [sorted[i - 1] as TreeNode, sorted[i] as TreeNode];
    if (compareText(before.name, node.name) === 0) {
      throw new MusterError('INTERNAL', `a directory with two entries named ${quoteGo(node.name)}`);
    }
  }
  return Buffer.from(`{"nodes":[${sorted.map(encodeNode).join(',')}]}\n`);
}

/** In the order of restic's fields; what is empty is left out, but for those it always writes. */
function encodeNode(node: TreeNode): string {
  return (
    `{"name":${jsonGo(quoteGo(node.name))},"type":"${node.type}"${integer('mode', node.mode)}` +
    `,"mtime":"${node.mtime}","atime":"${node.atime}","ctime":"${node.ctime}","uid":${node.uid},"gid":${node.gid}` +
    text('user', node.user) +
    text('group', node.group) +
    integer('inode', node.inode) +
    integer('device_id', node.deviceId) +
    integer('size', node.sizeBytes) +
    integer('links', node.links) +
    text('linktarget', node.linkTarget) +
    (node.linkTarget instanceof Uint8Array ? `,"linktarget_raw":"${base64(node.linkTarget)}"` : '') +
    attributes(node.extendedAttributes) +
    (node.genericAttributes === undefined ? '' : `,"generic_attributes":${JSON.stringify(node.genericAttributes)}`) +
    integer('device', node.device) +
    `,"content":${node.content === null ? 'null' : ids(node.content)}` +
    (node.subtree === undefined ? '' : `,"subtree":"${node.subtree}"`) +
    text('error', node.error) +
    '}'
  );
}

const text = (key: string, value: FileText | undefined): string =>
  value === undefined || value.length === 0 ? '' : `,"${key}":${jsonGo(value)}`;

const integer = (key: string, value: number | bigint | undefined): string =>
  value === undefined || value === 0 || value === 0n ? '' : `,"${key}":${value}`;

const ids = (content: readonly string[]): string => (content.length === 0 ? '[]' : `["${content.join('","')}"]`);

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');

function attributes(list: readonly ExtendedAttribute[] | undefined): string {
  if (list === undefined || list.length === 0) return '';
  const each = list.map(({ name, value }) => `{"name":${jsonGo(name)},"value":"${base64(value)}"}`);
  return `,"extended_attributes":[${each.join(',')}]`;
}

/** A node as it stands in the tree. */
interface RawNode {
  name: string;
  type: NodeType;
  mode?: number;
  mtime: string;
  atime: string;
  ctime: string;
  uid?: number;
  gid?: number;
  user?: string;
  group?: string;
  inode?: number | bigint;
  device_id?: number | bigint;
  size?: number | bigint;
  links?: number | bigint;
  linktarget?: string;
  linktarget_raw?: string;
  extended_attributes?: { name: string; value: string | null }[];
  generic_attributes?: unknown;
  device?: number | bigint;
  content?: string[] | null;
  subtree?: string | null;
  error?: string;
}

/** What the plaintext of a tree blob holds, or what is wrong with it: the rest of a sentence that begins "tree ...". */
export type DecodedTree =
  { readonly kind: 'tree'; readonly nodes: TreeNode[] } | { readonly kind: 'damaged'; readonly why: string };

/**
 * The nodes of a tree blob. Names that could lead out of their directory when restored make a tree damaged.
 */
export function decodeTree(plaintext: Uint8Array): DecodedTree {
  let raw: { nodes?: unknown };
  try {
    raw = parseJson(Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length).toString());
  } catch {
    return { kind: 'damaged', why: 'is not JSON' };
  }
  if (raw === null || typeof raw !== 'object' || !Array.isArray(raw.nodes ?? [])) {
    return { kind: 'damaged', why: 'has no list of nodes' };
  }
  const nodes: TreeNode[] = [];
  for (const node of (raw.nodes ?? []) as RawNode[]) {
    const decoded = decodeNode(node);
    if (typeof decoded === 'string') return { kind: 'damaged', why: decoded };
    nodes.push(decoded);
  }
  return { kind: 'tree', nodes };
}

function decodeNode(raw: RawNode): TreeNode | string {
  if (typeof raw?.name !== 'string' || typeof raw.type !== 'string') return 'has a node without name or type';
  const name = unquoteGo(raw.name);
  if (name === null || !isSafeName(name)) return `has a node with the impossible name ${JSON.stringify(raw.name)}`;
  if (raw.content !== undefined && raw.content !== null && !Array.isArray(raw.content)) {
    return `has a node ${JSON.stringify(raw.name)} whose content is no list`;
  }
  const { mode = 0, mtime, atime, ctime, uid = 0, gid = 0, type, content = null } = raw;
  const node: Mutable = { name, type, mode, mtime, atime, ctime, uid, gid, content };
  copyOptional(raw, node);
  if (raw.linktarget_raw !== undefined) node.linkTarget = Buffer.from(raw.linktarget_raw, 'base64');
  if (raw.extended_attributes) node.extendedAttributes = raw.extended_attributes.map(decodeAttribute);
  return node;
}

type Mutable = { -readonly [Field in keyof TreeNode]: TreeNode[Field] };

/** Fields that are there or not. One by one: directories are decoded by the hundred thousand. */
function copyOptional(raw: RawNode, node: Mutable): void {
  if (raw.user !== undefined) node.user = raw.user;
  if (raw.group !== undefined) node.group = raw.group;
  if (raw.inode !== undefined) node.inode = raw.inode;
  if (raw.device_id !== undefined) node.deviceId = raw.device_id;
  if (raw.size !== undefined) node.sizeBytes = raw.size;
  if (raw.links !== undefined) node.links = raw.links;
  if (raw.linktarget !== undefined) node.linkTarget = raw.linktarget;
  if (raw.device !== undefined) node.device = raw.device;
  if (raw.subtree) node.subtree = raw.subtree;
  if (raw.error !== undefined) node.error = raw.error;
  if (raw.generic_attributes !== undefined) node.genericAttributes = raw.generic_attributes;
}

function decodeAttribute({ name, value }: { name: string; value: string | null }): ExtendedAttribute {
  return { name, value: Buffer.from(value ?? '', 'base64') };
}

function isSafeName(name: FileText): boolean {
  if (name.length === 0 || name === '.' || name === '..') return false;
  return typeof name === 'string' ? !/[/\0]/.test(name) : !name.includes(0x2f) && !name.includes(0);
}

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;

/** Integers of 16 digits and more may not fit a number: only where there are some is each one looked at. */
function parseJson(json: string): { nodes?: unknown } {
  if (!/:\d{16}/.test(json)) return JSON.parse(json) as { nodes?: unknown };
  const exact: Reviver = (_, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^\d+$/.test(source)
      ? BigInt(source)
      : value;
  return (JSON.parse as (text: string, reviver: Reviver) => { nodes?: unknown })(json, exact);
}
