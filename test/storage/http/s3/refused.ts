import { S3ServiceException } from '@aws-sdk/client-s3';

/** Status and code of a refusal, or `done`. */
export async function refused(sent: Promise<unknown>): Promise<string> {
  try {
    await sent;
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return `${error.$metadata.httpStatusCode} ${error.name}`;
  }
  return 'done';
}
