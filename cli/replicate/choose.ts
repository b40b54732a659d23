import { isReplicated } from '../../activities/drivers/bucket/config.ts';
import type { EstateResource, EstateService } from '../../runbooks/estate.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Context } from '../context.ts';

export interface ReplicatedResource {
  service: EstateService;
  resource: EstateResource;
}

/**
 * The replicated buckets that a word of the command line means: all of them, those of a service, or one.
 * @throws MusterError CONFIG_INVALID, SERVICE_UNKNOWN naming what there is
 */
export function replicatedResources(context: Context, named: string | undefined): ReplicatedResource[] {
  const [serviceName, resourceName] = named?.split('/') ?? [];
  const services =
    serviceName === undefined ? Object.values(context.estate().services) : [context.service(serviceName)];
  const all = services.flatMap((service) =>
    service.resources
      .filter((resource) => resource.driver === 'bucket' && isReplicated(resource))
      .map((resource) => ({ service, resource })),
  );
  const found = resourceName === undefined ? all : all.filter(({ resource }) => resource.name === resourceName);
  if (found.length > 0 || (named === undefined && all.length === 0)) return found;
  const known = all.map(({ service, resource }) => `${service.name}/${resource.name}`).join(', ');
  throw new MusterError(
    'CONFIG_INVALID',
    `${named} is no replicated bucket of the estate; ${known === '' ? 'none has replication: async' : `there are ${known}`}`,
  );
}
