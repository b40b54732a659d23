import { type DeleteInput, type DeleteResult } from '../../object/model.ts';
import { type Operation } from '../operation.ts';
import { deleteConditions } from './conditions.ts';
import { versionIdOf } from './read.ts';

export const deleteObject: Operation = {
  name: 'DeleteObject',
  dialect: 's3',
  method: 'DELETE',
  resource: 'object',
  query: [],
  actions: ['s3:DeleteObject'],
  parameters: ['versionId'],
  async handle({ request, layer }) {
    const input: DeleteInput = { bucket: request.bucket, key: request.key };
    const versionId = versionIdOf(request.query);
    const conditions = deleteConditions(request.headers);
    if (versionId !== undefined) input.versionId = versionId;
    if (conditions !== undefined) input.conditions = conditions;
    return { status: 204, headers: deletedHeaders(await layer.remove(input)) };
  },
};

function deletedHeaders({ versionId, deleteMarker }: DeleteResult): Record<string, string> {
  const headers: Record<string, string> = {};
  if (versionId !== undefined) headers['x-amz-version-id'] = versionId;
  if (deleteMarker) headers['x-amz-delete-marker'] = 'true';
  return headers;
}
