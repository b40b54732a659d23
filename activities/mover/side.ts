import { type ObjectClient } from '../objects/types.ts';

/** One end of a copy: the keys of a bucket below a prefix. Relative keys are what both ends have in common. */
export interface Side {
  client: ObjectClient;
  /** '' or text that every key of this side begins with. */
  prefix: string;
}

export function fullKey(side: Side, relativeKey: string): string {
  return side.prefix + relativeKey;
}

/** For messages: which bucket, and what in it. */
export function sideName({ client, prefix }: Side): string {
  return prefix === '' ? client.name : `${client.name} below ${prefix}`;
}
