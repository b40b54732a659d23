import { type NotedWrite } from '../ledger/ledger.ts';
import { type LoggedChange } from './node-log.ts';

/** What of a log a replication is about. */
export interface NoteRule {
  prefix: string;
  versions: boolean;
  /** Whether deletes are carried out at the target. */
  deletes: boolean;
  named: (key: string) => boolean;
}

/**
 * The writes of a page that a ledger has to know, in order; pure. Where the newest alone counts, of several changes of
 * a key the last one stays, and a removed version says nothing. With versions a removed version stays at the target.
 */
export function writesOf(changes: readonly LoggedChange[], rule: NoteRule): NotedWrite[] {
  const writes = new Map<string, NotedWrite>();
  for (const change of changes) {
    if (!change.key.startsWith(rule.prefix) || change.kind === 'delete-version') continue;
    const key = change.key.slice(rule.prefix.length);
    if (key === '' || !rule.named(key)) continue;
    const isTags = change.kind === 'tags' || change.kind === 'version-tags';
    if (change.kind === 'version-tags' && !rule.versions) continue;
    const isDelete = !isTags && change.kind !== 'put';
    if (isDelete && !rule.deletes && !rule.versions) continue;
    const version = rule.versions ? change.versionId : '';
    const id = `${key}\0${version}`;
    // Tags of what was written just before go along with it.
    const written = isTags && writes.get(id)?.op !== 'put' ? 'tags' : 'put';
    writes.delete(id);
    writes.set(id, {
      ...{ key, version, op: isDelete ? 'delete' : written, writtenAtMs: change.atMs },
      sizeBytes: isDelete ? 0 : change.sizeBytes,
      // A delete has no ETag: its moment tells it from the next one.
      sourceEtag: isDelete ? `deleted-${change.atMs}` : change.etag,
    });
  }
  return [...writes.values()];
}
