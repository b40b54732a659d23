import { type Operation, type ParsedRequest } from './operation.ts';
import { S3Error } from './s3-error.ts';

/** Sub-resources of S3 and OSS. One that no operation of the table understands is refused, never ignored. */
const subResources = new Set([
  'abac',
  'accelerate',
  'accessmonitor',
  'acl',
  'analytics',
  'append',
  'asyncFetch',
  'attributes',
  'bucketArchiveDirectRead',
  'bucketInfo',
  'cname',
  'comp',
  'cors',
  'delete',
  'encryption',
  'httpsConfig',
  'img',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'live',
  'location',
  'logging',
  'metadataConfiguration',
  'metadataInventoryTable',
  'metadataJournalTable',
  'metadataTable',
  'metaQuery',
  'metrics',
  'notification',
  'object-lock',
  'objectMeta',
  'ownershipControls',
  'policy',
  'policyStatus',
  'position',
  'processConfiguration',
  'publicAccessBlock',
  'qos',
  'qosInfo',
  'referer',
  'renameObject',
  'replication',
  'replicationLocation',
  'replicationProgress',
  'requesterQosInfo',
  'requestPayment',
  'resourceGroup',
  'restore',
  'retention',
  'select',
  'session',
  'stat',
  'style',
  'symlink',
  'tagging',
  'torrent',
  'transferAcceleration',
  'uploads',
  'userDefinedLogFieldsConfig',
  'versioning',
  'versions',
  'vod',
  'website',
  'worm',
  'wormExtend',
]);

/** Finds the operation of a request: that with the most of its conditions met. */
export interface Router {
  readonly table: readonly Operation[];
  /** @throws S3Error NotImplemented, MethodNotAllowed. */
  find(request: ParsedRequest): Operation;
}

export function createRouter(operations: readonly Operation[]): Router {
  const weight = (operation: Operation): number =>
    operation.query.length * 2 + (operation.header === undefined ? 0 : 1);
  const table = [...operations].sort((a, b) => weight(b) - weight(a));
  return {
    table,
    find(request) {
      const resource = request.bucket === '' ? 'service' : request.key === '' ? 'bucket' : 'object';
      const here = table.filter((row) => row.dialect === request.dialect && row.resource === resource);
      const found = here.find(
        (row) =>
          row.method === request.method &&
          row.query.every((name) => request.query.has(name)) &&
          (row.header === undefined || request.headers[row.header] !== undefined),
      );
      const asked = [...request.query.keys()].filter((name) => subResources.has(name));
      const unknown = asked.find(
        (name) => found?.query.includes(name) !== true && found?.parameters.includes(name) !== true,
      );
      if (unknown !== undefined) {
        throw new S3Error(
          'NotImplemented',
          501,
          'A header you provided implies functionality that is not implemented',
          {
            fields: { SubResource: unknown },
          },
        );
      }
      if (found !== undefined) return found;
      throw new S3Error('MethodNotAllowed', 405, 'The specified method is not allowed against this resource.');
    },
  };
}
