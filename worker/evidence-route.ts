import { createReadStream } from 'node:fs';
import path from 'node:path';
import type { Route } from '../activities/guard/http.ts';

/** Conflict sets and the like, for the report: `GET /v1/evidence/NAME`. Names only, never a path. */
export function evidenceRoute(home: string): Route {
  const dir = path.join(path.resolve(home), 'evidence');
  return {
    method: 'GET',
    path: '/v1/evidence/',
    handle: ({ rest }) => {
      if (!/^[\w.-]+$/.test(rest) || rest.startsWith('.')) return { status: 400, json: { error: 'name a file' } };
      return { status: 200, content: createReadStream(path.join(dir, rest)), contentType: 'application/x-ndjson' };
    },
  };
}
