import { type OpenObject } from '../../object/model.ts';
import { type Answer, type Operation, type OperationContext } from '../operation.ts';
import { type ReadAnswer, readAnswer, readOptionsOf, readParameters } from './read.ts';
import { responseTarget } from './response-target.ts';

export const getObject: Operation = {
  name: 'GetObject',
  dialect: 's3',
  method: 'GET',
  resource: 'object',
  query: [],
  actions: ['s3:GetObject'],
  parameters: readParameters,
  async handle(context) {
    const { request, layer } = context;
    const object = await layer.open(request.bucket, request.key, readOptionsOf(request));
    try {
      return await answer(context, object);
    } finally {
      object.close();
    }
  },
};

async function answer({ request, raw }: OperationContext, object: OpenObject): Promise<Answer | undefined> {
  const head = readAnswer(request, object.info);
  const { status, headers, range } = head;
  if (range === undefined) return { status, headers };
  headers['x-amz-request-id'] = request.requestId;
  headers['server'] = 'Muster';
  await sendRange(raw.response, { object, head, range });
  return undefined;
}

/**
 * Streams the bytes. Before the first one a failure is still an error the client can read; after it the connection is
 * broken off, so that nobody takes a part for the whole.
 */
async function sendRange(
  response: OperationContext['raw']['response'],
  { object, head, range }: { object: OpenObject; head: ReadAnswer; range: NonNullable<ReadAnswer['range']> },
): Promise<void> {
  const target = responseTarget(response, () => response.writeHead(head.status, head.headers));
  try {
    await object.send(range.first, range.last, target);
    if (target.closed) return;
    const missing = range.last - range.first + 1 - target.sentBytes;
    if (missing !== 0) throw new Error(`the answer lacks ${missing} bytes`);
    response.end();
  } catch (error) {
    if (target.sentBytes > 0) response.destroy();
    throw error;
  }
}
