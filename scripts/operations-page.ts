import { type Operation } from '../storage-node/http/operation.ts';
import { ossOperations } from '../storage-node/http/oss/index.ts';
import { fixedAnswers } from '../storage-node/http/s3/fixed-answers.ts';
import { s3Operations } from '../storage-node/http/s3/index.ts';
import { markdownTable } from './markdown-table.ts';

const introduction = `# Operations of the storage cluster

What a node understands, from its one route table: requests are routed by it, the permission beside each is what
authorization asks for, and the tests of the gate go through all of it. A sub-resource that is not here answers
\`NotImplemented\`, it is never ignored.

This page is written from \`storage-node/http/\` by \`node scripts/run.mjs scripts/operations-doc.ts --write\`; a test keeps
the two equal.
`;

const code = (text: string): string => `\`${text}\``;

/** The text of docs/storage-operations.md: one row an operation, in the order of the route table. */
export function operationsPage(): string {
  const fixed = new Set(fixedAnswers.map(({ name }) => name));
  const own = s3Operations.filter(({ name }) => !fixed.has(name));
  const head = ['Operation', 'Request', 'Parameters', 'Permission'];
  const table = (operations: readonly Operation[]): string => markdownTable(head, operations.map(rowOf));
  return [
    introduction,
    `## S3\n\n${table(own)}\n`,
    '## S3, with a fixed answer\n\nWhat clients ask before they do anything else. The answer says truthfully that nothing of the kind is set up.\n',
    `${table(s3Operations.filter(({ name }) => fixed.has(name)))}\n`,
    `## OSS\n\nThe same buckets and objects, in the words of the other dialect.\n\n${table(ossOperations)}\n`,
  ].join('\n');
}

const places = { service: '/', bucket: '/bucket', object: '/bucket/key' } as const;

function rowOf({ name, method, resource, query, header, parameters, actions }: Operation): string[] {
  const asked = query.length === 0 ? '' : `?${query.join('&')}`;
  const request = code(`${method} ${places[resource]}${asked}`) + (header === undefined ? '' : ` with ${code(header)}`);
  return [name, request, parameters.map(code).join(', '), actions.map(code).join(', ')];
}
