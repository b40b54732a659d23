import { readFileSync } from 'node:fs';

/** Names of users and groups by their numbers, as this system's files have them; empty where it has none. */
export interface Owners {
  user(uid: number): string;
  group(gid: number): string;
}

export function readOwners(): Owners {
  const [users, groups] = [namesIn('/etc/passwd'), namesIn('/etc/group')];
  return { user: (uid) => users.get(uid) ?? '', group: (gid) => groups.get(gid) ?? '' };
}

/** `name:password:number:…` a line. */
function namesIn(file: string): Map<number, string> {
  const names = new Map<number, string>();
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return names;
  }
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    if (name !== undefined && number !== undefined && number !== '' && !names.has(Number(number))) {
      names.set(Number(number), name);
    }
  }
  return names;
}
