import { MusterError } from '../../../workflows/engine/errors.ts';

/**
 * Whether a path is left out. Patterns are matched as restic's: `*`, `?` and `[…]` within one name, `**` over any number of
 * directories. One that begins with a slash counts from the root, others at any depth; one that ends with a slash
 * matches directories only. What is in an excluded directory is not looked at.
 * @throws MusterError CONFIG_INVALID naming the pattern
 */
export function excludeBy(patterns: readonly string[]): (path: string, isDirectory: boolean) => boolean {
  const compiled = patterns.filter((pattern) => pattern !== '').map(compile);
  if (compiled.length === 0) return () => false;
  return (path, isDirectory) =>
    compiled.some(({ expression, directoriesOnly }) => (isDirectory || !directoriesOnly) && expression.test(path));
}

function compile(pattern: string): { expression: RegExp; directoriesOnly: boolean } {
  const directoriesOnly = pattern.length > 1 && pattern.endsWith('/');
  const absolute = pattern.startsWith('/');
  const parts = pattern.split('/').filter((part) => part !== '');
  if (parts.length === 0) throw new MusterError('CONFIG_INVALID', `exclude "${pattern}" leaves out everything`);
  const body = parts.map((part, i) =>
    part === '**' ? '(?:/[^/]+)*' : `${i === 0 && !absolute ? '' : '/'}${name(part, pattern)}`,
  );
  const start = absolute ? '^' : parts[0] === '**' ? '^' : '(?:^|/)';
  return { expression: new RegExp(`${start}${body.join('')}$`, 's'), directoriesOnly };
}

function name(part: string, pattern: string): string {
  let out = '';
  for (let i = 0; i < part.length; i++) {
    const char = part[i]!;
    if (char === '*') out += '[^/]*';
    else if (char === '?') out += '[^/]';
    else if (char === '\\' && i + 1 < part.length) out += escape(part[++i]!);
    else if (char === '[') {
      const end = part.indexOf(']', i + 2);
      if (end < 0) throw new MusterError('CONFIG_INVALID', `exclude "${pattern}" has a [ without its ]`);
      const inside = part
        .slice(i + 1, end)
        .replace(/^[!^]/, '^')
        .replaceAll('\\', '\\\\');
      out += `[${inside}]`;
      i = end;
    } else out += escape(char);
  }
  return out;
}

const escape = (char: string): string => char.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
