import type { NamedObject } from '../../../workflows/engine/copying.ts';
import type { ObjectEvent } from '../../mover/run/pass.ts';

/** What is to be said of an object; undefined when that is nothing. Deletes that were asked for are counted only. */
export function namedBy(event: ObjectEvent): NamedObject | undefined {
  const { key } = event;
  if (event.kind === 'deleted') return undefined;
  if (event.kind === 'kept-extra') return { key, what: 'kept', why: event.why };
  if (event.kind !== 'outcome') return { key, what: event.kind, why: '' };
  const { outcome } = event;
  switch (outcome.kind) {
    case 'failed':
      return { key, what: 'failed', why: `${outcome.code}: ${outcome.message}` };
    case 'kept':
      return { key, what: 'kept', why: `the target's is ${outcome.why}` };
    case 'archived':
      return { key, what: 'archived', why: outcome.restoring ? 'its restore was asked for' : '' };
    case 'changing':
      return { key, what: 'changing', why: 'it changed again and again while it was read' };
    case 'copied':
      if (outcome.notCarried.length === 0) return undefined;
      return { key, what: 'copied', why: `without ${outcome.notCarried.join(', ')}` };
    case 'gone':
    case 'same':
      return undefined;
  }
}
