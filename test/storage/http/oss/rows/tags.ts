import { type Row } from './row.ts';

/** Tags of objects and of their copies. */
export const tagRows: readonly Row[] = [
  {
    name: 'an object is stored with tags',
    is: 'PutObject',
    ask: { method: 'PUT', path: '/photos/t', headers: { 'x-oss-tagging': 'team=ops%20%2B&b' }, body: 'tagged' },
    status: 200,
  },
  {
    name: 'how many tags an object has',
    is: 'HeadObject',
    ask: { method: 'HEAD', path: '/photos/t' },
    status: 200,
    headers: { 'x-oss-tagging-count': '2' },
  },
  {
    name: 'an object is read with the count of its tags',
    is: 'GetObject',
    ask: { path: '/photos/t' },
    status: 200,
    headers: { 'x-oss-tagging-count': '2' },
  },
  {
    name: 'the tags of an object',
    is: 'GetObjectTagging',
    ask: { path: '/photos/t', query: { tagging: '' } },
    status: 200,
    says: ['<Tagging><TagSet><Tag><Key>team</Key><Value>ops +</Value></Tag><Tag><Key>b</Key><Value></Value></Tag>'],
  },
  {
    name: 'a copy has the tags of its source',
    is: 'CopyObject',
    ask: {
      method: 'PUT',
      path: '/photos/tcopy',
      headers: { 'x-oss-copy-source': '/photos/t', 'x-oss-tagging-directive': 'Copy' },
    },
    status: 200,
  },
  {
    name: 'the tags of the copy',
    is: 'GetObjectTagging',
    ask: { path: '/photos/tcopy', query: { tagging: '' } },
    status: 200,
    says: ['<Key>team</Key>'],
  },
  {
    name: 'a copy has other tags',
    is: 'CopyObject',
    ask: {
      method: 'PUT',
      path: '/photos/tcopy',
      headers: {
        'x-oss-copy-source': '/photos/t',
        'x-oss-tagging-directive': 'Replace',
        'x-oss-tagging': 'other=1',
      },
    },
    status: 200,
  },
  {
    name: 'the other tags of the copy',
    is: 'GetObjectTagging',
    ask: { path: '/photos/tcopy', query: { tagging: '' } },
    status: 200,
    says: ['<TagSet><Tag><Key>other</Key><Value>1</Value></Tag></TagSet>'],
  },
  {
    name: 'an object is given other tags',
    is: 'PutObjectTagging',
    ask: {
      method: 'PUT',
      path: '/photos/t',
      query: { tagging: '' },
      body: '<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>',
    },
    status: 200,
  },
  {
    name: 'the tags it was given',
    is: 'GetObjectTagging',
    ask: { path: '/photos/t', query: { tagging: '' } },
    status: 200,
    says: ['<TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet>'],
  },
  {
    name: 'the tags of an object are removed',
    is: 'DeleteObjectTagging',
    ask: { method: 'DELETE', path: '/photos/tcopy', query: { tagging: '' } },
    status: 204,
  },
  {
    name: 'an object without tags',
    is: 'HeadObject',
    ask: { method: 'HEAD', path: '/photos/tcopy' },
    status: 200,
    headers: { 'x-oss-tagging-count': undefined },
  },
];
