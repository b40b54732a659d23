import { S3Error } from '../s3-error.ts';

/** An argument S3 refuses, worded and with the fields as S3 does. */
export function invalidArgument(message: string, name: string, value: string): S3Error {
  return new S3Error('InvalidArgument', 400, message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

export function invalidRequest(message: string): S3Error {
  return new S3Error('InvalidRequest', 400, message);
}

export function malformedXml(cause?: unknown): S3Error {
  const message = 'The XML you provided was not well-formed or did not validate against our published schema';
  return new S3Error('MalformedXML', 400, message, { cause });
}

/** A header that asks for something this server does not do: refused, never ignored in silence. */
export function headerNotImplemented(header: string): S3Error {
  const message = 'A header you provided implies functionality that is not implemented';
  return new S3Error('NotImplemented', 501, message, { fields: { Header: header } });
}

export function tooLarge(proposedBytes: number, maximumBytes: number): S3Error {
  const fields = { ProposedSize: String(proposedBytes), MaxSizeAllowed: String(maximumBytes) };
  const message = 'Your proposed upload exceeds the maximum allowed size';
  return new S3Error('EntityTooLarge', 400, message, { fields });
}

/**
 * Half a part is no object: a PUT that names only one of upload and part number must not write the key itself.
 * @throws S3Error InvalidArgument.
 */
export function refuseHalfPart(query: ReadonlyMap<string, string>): void {
  for (const name of ['uploadId', 'partNumber']) {
    const value = query.get(name);
    if (value !== undefined) throw invalidArgument('uploadId and partNumber must be given together', name, value);
  }
}
