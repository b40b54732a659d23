import { type Action, type Condition, type Operation } from './history.ts';

/** Short words to write histories with. Times are given as [called, returned]; a missing end means "unknown". */
type Times = readonly [calledAt: number, returnedAt?: number];

let clients = 0;

function operation(action: Action, times: Times, ok: Extract<Operation['outcome'], { kind: 'ok' }>): Operation {
  const [calledAt, returnedAt] = times;
  const outcome: Operation['outcome'] = returnedAt === undefined ? { kind: 'unknown' } : ok;
  return { key: 'k', client: `c${clients++}`, action, outcome, calledAt, returnedAt: returnedAt ?? 0 };
}

export const put = (value: string, times: Times, versionId?: string): Operation =>
  operation({ kind: 'put', value }, times, { kind: 'ok', versionId });

export const putIf = (condition: Condition, value: string, times: Times): Operation =>
  operation({ kind: 'put', value, condition }, times, { kind: 'ok' });

/** @param value undefined: nothing was there */
export const get = (value: string | undefined, times: Times, versionId?: string): Operation =>
  operation({ kind: 'get' }, times, { kind: 'ok', value, versionId });

export const getVersion = (versionId: string, value: string | undefined, times: Times): Operation =>
  operation({ kind: 'get', versionId }, times, { kind: 'ok', value });

/** @param versionId the version to be tagged; the newest without */
export const tag = (text: string, times: Times, versionId?: string): Operation =>
  operation({ kind: 'tag', tag: text, ...(versionId === undefined ? {} : { versionId }) }, times, { kind: 'ok' });

export const getTagged = (value: string, text: string, times: Times): Operation =>
  operation({ kind: 'get' }, times, { kind: 'ok', value, tag: text });

/** @param markerId the delete marker it made */
export const del = (times: Times, markerId?: string): Operation =>
  operation({ kind: 'delete' }, times, { kind: 'ok', versionId: markerId });

export const delIf = (condition: Condition, times: Times): Operation =>
  operation({ kind: 'delete', condition }, times, { kind: 'ok' });

export const delVersion = (versionId: string, times: Times): Operation =>
  operation({ kind: 'delete', versionId }, times, { kind: 'ok', versionId });

export const refused = (one: Operation): Operation => ({ ...one, outcome: { kind: 'refused' } });
export const on = (key: string, one: Operation): Operation => ({ ...one, key });
