import { S3Error } from '../s3-error.ts';

const forbiddenStarts = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const forbiddenEnds = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/** S3's rules for the names of general purpose buckets. */
export function isBucketName(name: string): boolean {
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !name.includes('..') &&
    !/^\d{1,3}(\.\d{1,3}){3}$/.test(name) &&
    !forbiddenStarts.some((start) => name.startsWith(start)) &&
    !forbiddenEnds.some((end) => name.endsWith(end))
  );
}

/** @throws S3Error InvalidBucketName. */
export function checkBucketName(name: string): void {
  if (isBucketName(name)) return;
  const fields = { BucketName: name };
  throw new S3Error('InvalidBucketName', 400, 'The specified bucket is not valid.', { fields });
}
