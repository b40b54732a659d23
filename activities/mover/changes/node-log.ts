import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { type CredentialProvider, type ObjectPlace } from '../../objects/place.ts';
import { emptyHash, encodeS3, signRequest } from '../../s3/sign.ts';

const changeSchema = z.object({
  position: z.number(),
  /** `version-tags`: of one that is not the newest. */
  kind: z.enum(['put', 'delete', 'delete-marker', 'delete-version', 'tags', 'version-tags']),
  key: z.string(),
  versionId: z.string(),
  sizeBytes: z.number(),
  etag: z.string(),
  atMs: z.number(),
});
const pageSchema = z.object({ changes: z.array(changeSchema), position: z.number(), more: z.boolean() });

/** One committed write of a bucket, as its cluster tells it. */
export type LoggedChange = z.infer<typeof changeSchema>;
export interface LogPage extends z.infer<typeof pageSchema> {
  /** The cluster's clock when it answered, to the second. */
  serverMs: number;
}

export type LogAnswer =
  | { kind: 'page'; page: LogPage }
  /** What answers is no cluster of ours, or the account may not read the log: there is none to follow. */
  | { kind: 'none'; why: string };

/** The change log of a bucket on our own storage nodes. */
export interface NodeLog extends AsyncDisposable {
  /**
   * Changes behind a position, in order and without gaps; waits up to `waitSeconds` for the first.
   * @throws OBJECT_STORE_UNREACHABLE
   */
  read(from: { after: number; limit?: number; waitSeconds?: number; signal?: AbortSignal }): Promise<LogAnswer>;
}

/** Positions are Unix milliseconds of the cluster's clock times this. Source: the storage nodes' ballots. */
const positionsPerMs = 2_048;
export function positionAt(unixMs: number): number {
  return Math.max(0, Math.floor(unixMs)) * positionsPerMs;
}
export function timeOfPosition(position: number): number {
  return Math.floor(position / positionsPerMs);
}

const answerMs = 15_000;

/** Only the root account of a cluster may read its log. */
export function openNodeLog(place: ObjectPlace, credentials: CredentialProvider): NodeLog {
  const ca = place.caFile === undefined ? {} : { ca: readFileSync(place.caFile, 'utf8') };
  const agent = new Agent({ connect: { timeout: 5_000, ...ca }, keepAliveTimeout: 30_000 });
  return {
    async read({ after, limit = 1_000, waitSeconds = 0, signal }) {
      const path = `/muster/admin/v1/buckets/${encodeS3(place.bucket, false)}/changes`;
      const url = new URL(`${path}?after=${after}&limit=${limit}&wait=${waitSeconds}&tags=true`, place.endpoint);
      const { accessKeyId, secretAccessKey } = await credentials({ refused: false });
      const keys = { accessKey: accessKeyId, secretKey: secretAccessKey, region: place.region };
      const headers = signRequest({ method: 'GET', url, headers: {}, payloadHash: emptyHash }, keys, new Date());
      const limitSignal = AbortSignal.timeout(waitSeconds * 1_000 + answerMs);
      try {
        const answer = await request(url, {
          ...{ method: 'GET', headers, dispatcher: agent },
          signal: signal === undefined ? limitSignal : AbortSignal.any([limitSignal, signal]),
        });
        const text = await answer.body.text();
        return answerOf(answer.statusCode, text, Date.parse(String(answer.headers['date'])));
      } catch (err) {
        signal?.throwIfAborted();
        if (err instanceof MusterError) throw err;
        const why = toMusterError(err).message;
        throw new MusterError('OBJECT_STORE_UNREACHABLE', `the change log of ${place.bucket}: ${why}`, { cause: err });
      }
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
    },
  };
}

function answerOf(status: number, text: string, serverMs: number): LogAnswer {
  if (status >= 500) throw new MusterError('OBJECT_STORE_UNREACHABLE', `the change log answers status ${status}`);
  const page = status === 200 ? pageSchema.safeParse(jsonOf(text)) : undefined;
  if (page?.success !== true) return { kind: 'none', why: `status ${status}` };
  return { kind: 'page', page: { ...page.data, serverMs: Number.isNaN(serverMs) ? Date.now() : serverMs } };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
