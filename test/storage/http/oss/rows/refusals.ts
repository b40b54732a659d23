import { type Row } from './row.ts';

/** What is refused, and as what. */
export const refusalRows: readonly Row[] = [
  {
    name: 'a bucket that is not there',
    is: 'NoSuchBucket',
    ask: { path: '/empty/' },
    status: 404,
    says: ['<Message>The specified bucket does not exist'],
  },
  {
    name: 'a bucket that is not there, without document',
    is: '',
    ask: { method: 'HEAD', path: '/empty/' },
    status: 404,
  },
  {
    name: 'an object that is not there',
    is: 'NoSuchKey',
    ask: { path: '/photos/nothing' },
    status: 404,
    headers: { 'x-oss-delete-marker': undefined },
  },
  {
    name: 'an object that is not there, without document',
    is: '',
    ask: { method: 'HEAD', path: '/photos/nothing' },
    status: 404,
  },
  {
    name: 'a range behind the end',
    is: 'InvalidRange',
    ask: { path: '/photos/b', headers: { range: 'bytes=100-' } },
    status: 416,
  },
  {
    name: 'a class that is none',
    is: 'InvalidStorageClass',
    ask: { method: 'PUT', path: '/photos/c', headers: { 'x-oss-storage-class': 'DeepColdArchive' } },
    status: 400,
  },
  {
    name: 'an encryption that would not be done',
    is: 'NotImplemented',
    ask: { method: 'PUT', path: '/photos/c', headers: { 'x-oss-server-side-encryption': 'AES256' } },
    status: 501,
  },
  {
    name: 'a tag that is named twice',
    is: 'InvalidArgument',
    ask: { method: 'PUT', path: '/photos/c', headers: { 'x-oss-tagging': 'a=b&a=c' } },
    status: 400,
    says: ["The header 'x-oss-tagging' shall"],
  },
  {
    name: 'a list of access of a bucket',
    is: 'NotImplemented',
    ask: { path: '/photos/', query: { acl: '' } },
    status: 501,
  },
  {
    name: 'an object that is appended to',
    is: 'NotImplemented',
    ask: { method: 'POST', path: '/photos/c', query: { append: '', position: '0' } },
    status: 501,
  },
  {
    name: 'a symbolic link',
    is: 'NotImplemented',
    ask: { method: 'PUT', path: '/photos/c', query: { symlink: '' } },
    status: 501,
  },
  {
    name: 'a method that means nothing',
    is: 'MethodNotAllowed',
    ask: { method: 'POST', path: '/photos/c' },
    status: 405,
  },
];
