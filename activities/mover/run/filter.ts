import { MusterError } from '../../../workflows/engine/errors.ts';

/** Which objects a run is about. All conditions have to hold; what is left out is neither copied nor deleted. */
export interface FilterRule {
  /** What keys have to begin with. */
  prefix?: string;
  /** Globs, one of which has to match where there are any. */
  include?: readonly string[];
  /** Globs, none of which may match. */
  exclude?: readonly string[];
  minSizeBytes?: number;
  maxSizeBytes?: number;
  /** Written at least, at most so long ago. */
  minAgeMs?: number;
  maxAgeMs?: number;
  /** All of these tags with these values. Costs a request an object. */
  tags?: Readonly<Record<string, string>>;
  /** Objects that one of these means are left out. Their tags count for nothing. */
  except?: readonly FilterRule[];
}

export interface Filter {
  /** By name alone: asked for the keys of both sides, so that what is left out at one is left out at the other. */
  named(key: string): boolean;
  sized(object: { key?: string; sizeBytes: number; lastModifiedMs: number }): boolean;
  tags: Readonly<Record<string, string>> | undefined;
}

/** @throws CONFIG_INVALID for a glob that cannot be read */
export function compileFilter(rule: FilterRule, nowMs: number): Filter {
  const include = (rule.include ?? []).map(globToRegExp);
  const exclude = (rule.exclude ?? []).map(globToRegExp);
  const except = (rule.except ?? []).map((one) => compileFilter(one, nowMs));
  const { prefix = '', minSizeBytes = 0, maxSizeBytes = Infinity, minAgeMs = -Infinity, maxAgeMs = Infinity } = rule;
  return {
    named: (key) =>
      key.startsWith(prefix) &&
      (include.length === 0 || include.some((glob) => glob.test(key))) &&
      !exclude.some((glob) => glob.test(key)),
    sized(object) {
      const { key, sizeBytes, lastModifiedMs } = object;
      const ageMs = nowMs - lastModifiedMs;
      if (key !== undefined && except.some((one) => one.named(key) && one.sized(object))) return false;
      return sizeBytes >= minSizeBytes && sizeBytes <= maxSizeBytes && ageMs >= minAgeMs && ageMs <= maxAgeMs;
    },
    tags: rule.tags,
  };
}

/**
 * `*` and `?` stay within a segment, `**` crosses `/`, `[abc]` and `{one,two}` choose. A leading `/` ties the glob to
 * the beginning of the key; without one it may begin behind any `/`. The rules of rclone's filters.
 */
export function globToRegExp(glob: string): RegExp {
  const tied = glob.startsWith('/');
  let depth = 0;
  const body = (tied ? glob.slice(1) : glob).replace(/\*\*|\[[^\]]+\]|[*?{},]|[\\^$.|+()[\]]|\//g, (token) => {
    switch (token) {
      case '**':
        return '.*';
      case '*':
        return '[^/]*';
      case '?':
        return '[^/]';
      case '{':
        depth += 1;
        return '(?:';
      case '}':
        depth -= 1;
        return ')';
      case ',':
        return depth > 0 ? '|' : ',';
      default:
        return token.startsWith('[') && token.length > 1
          ? `[${token.slice(1, -1).replace(/^!/, '^').replaceAll('\\', '\\\\')}]`
          : `\\${token}`;
    }
  });
  if (depth !== 0) throw new MusterError('CONFIG_INVALID', `the glob ${JSON.stringify(glob)} has an open brace`);
  try {
    return new RegExp(`${tied ? '^' : '(?:^|/)'}${body}$`, 'su');
  } catch (cause) {
    throw new MusterError('CONFIG_INVALID', `the glob ${JSON.stringify(glob)} cannot be read`, { cause });
  }
}
