import { type CallOptions, type ObjectInfo } from '../../objects/types.ts';
import { fullKey, type Side } from '../side.ts';
import { orNone } from './landing.ts';

/** What a target has under a relative key; undefined for nothing. */
export function headAtTarget(target: Side, key: string, call: CallOptions): Promise<ObjectInfo | undefined> {
  return orNone('OBJECT_UNKNOWN', target.client.head(fullKey(target, key), {}, call));
}
