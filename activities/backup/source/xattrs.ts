import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { ExtendedAttribute } from '../repository/tree.ts';

/** What was found: attributes by path (its bytes as `latin1`), or why none could be asked for. */
export type XattrScan =
  { kind: 'read'; byPath: Map<string, ExtendedAttribute[]> } | { kind: 'unavailable'; why: string };

/**
 * Reads the extended attributes (and with them ACLs) of everything under a path. Node has no call for them, so the
 * `getfattr` of the attr package is asked once for the whole tree; without it none are saved, and the caller says so.
 */
export async function scanXattrs(root: string, signal?: AbortSignal): Promise<XattrScan> {
  const args = ['-R', '-h', '-P', '-d', '-m', '-', '-e', 'base64', '--absolute-names', '--', root];
  const child = spawn('getfattr', args, { stdio: ['ignore', 'pipe', 'ignore'], ...(signal && { signal }) });
  const ended = new Promise<string | null>((resolve) => {
    child.once('error', (err) =>
      resolve('code' in err && err.code === 'ENOENT' ? 'getfattr is not installed' : err.message),
    );
    child.once('close', () => resolve(null));
  });
  const parser = new XattrParser();
  // Names are bytes: latin1 keeps each as one character.
  child.stdout.setEncoding('latin1');
  for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY }))
    parser.take(line);
  const why = await ended;
  return why === null ? { kind: 'read', byPath: parser.byPath } : { kind: 'unavailable', why };
}

/** Reads what `getfattr -d -e base64` and `setfattr --restore` write: `# file:` and one `name=0s<base64>` a line. */
export class XattrParser {
  readonly byPath = new Map<string, ExtendedAttribute[]>();
  #current: ExtendedAttribute[] = [];

  take(line: string): void {
    if (line.startsWith('# file: ')) {
      this.#current = [];
      this.byPath.set(unescapeOctal(line.slice('# file: '.length)), this.#current);
      return;
    }
    const at = line.indexOf('=');
    if (at <= 0) return;
    const text = line.slice(at + 1);
    const value = text.startsWith('0s') ? Buffer.from(text.slice(2), 'base64') : Buffer.alloc(0);
    this.#current.push({ name: unescapeOctal(line.slice(0, at)), value });
  }
}

/** Sets attributes of many files with one `setfattr`. @returns why some could not be set, or null */
export async function restoreXattrs(
  files: Iterable<readonly [string, readonly ExtendedAttribute[]]>,
): Promise<string | null> {
  const child = spawn('setfattr', ['-h', '--restore=-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  const complaints: string[] = [];
  child.stderr.on('data', (data: Buffer) => complaints.push(data.toString()));
  const ended = new Promise<string | null>((resolve) => {
    child.once('error', () => resolve('setfattr is not installed'));
    child.once('close', (code) =>
      resolve(code === 0 ? null : complaints.join('').trim().split('\n')[0] || 'setfattr failed'),
    );
  });
  child.stdin.on('error', () => undefined);
  for (const [path, attributes] of files) child.stdin.write(entryOf(path, attributes), 'latin1');
  child.stdin.end();
  return ended;
}

function entryOf(path: string, attributes: readonly ExtendedAttribute[]): string {
  const lines = attributes.map(({ name, value }) => `${escapeOctal(name)}=0s${Buffer.from(value).toString('base64')}`);
  return `# file: ${escapeOctal(path)}\n${lines.join('\n')}\n\n`;
}

function unescapeOctal(text: string): string {
  return text.includes('\\')
    ? text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
    : text;
}

/** As getfattr quotes names: backslash, `=` and line ends. */
function escapeOctal(text: string): string {
  return text.replace(/[\\=\n\r]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
