import { toMusterError, type MusterError } from '../../../workflows/engine/errors.ts';
import type { PlanResource } from '../../../workflows/engine/plan.ts';
import { bucketSite } from './config.ts';
import { openObjects } from '../../objects/open.ts';
import type { ObjectLimits, ObjectPlace } from '../../objects/place.ts';
import type { ObjectClient } from '../../objects/types.ts';
import { resolveReference } from '../../references.ts';

const askMs = 2_000;

/**
 * A bucket of the estate at one site, by the first of its nodes that answers for it.
 * @throws MusterError CONFIG_INVALID, SECRET_MISSING, and what the last node said when none answers
 */
export async function openBucketAt(resource: PlanResource, site: string, signal?: AbortSignal): Promise<ObjectClient> {
  let last: MusterError | null = null;
  for (const place of placesOf(resource, site)) {
    const client = openObjects(place);
    try {
      const limit = AbortSignal.timeout(askMs);
      await client.headBucket({ signal: signal === undefined ? limit : AbortSignal.any([limit, signal]) });
      return client;
    } catch (err) {
      await client[Symbol.asyncDispose]();
      last = toMusterError(err);
      if (last.code === 'BUCKET_UNKNOWN' || last.code === 'CREDENTIALS_REFUSED') break;
      signal?.throwIfAborted();
    }
  }
  throw last!;
}

/** Each node of a site's cluster as a place. Holds secrets. @throws MusterError CONFIG_INVALID, SITE_UNKNOWN, SECRET_MISSING */
export function placesOf(resource: PlanResource, site: string, limits?: ObjectLimits): ObjectPlace[] {
  const { bucket, endpoints, credentials } = bucketSite(resource, site);
  const caFile = resource.sites[site]?.['caFile'];
  const { accessKey: accessKeyId, secretKey: secretAccessKey, region } = credentials;
  return endpoints.map((endpoint) => ({
    ...{ dialect: 's3', bucket, prefix: '', region, endpoint: endpoint.origin, addressing: 'path' },
    credentials: { kind: 'fixed', credentials: { accessKeyId, secretAccessKey } },
    ...(limits !== undefined && { limits }),
    ...(typeof caFile === 'string' && { caFile: resolveReference(caFile) }),
  }));
}
