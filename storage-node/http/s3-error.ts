/** A refusal in S3's own words, thrown by handlers where the code of a `StorageError` would say too little. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  /** As in the `Code` element, such as `MalformedXML`. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  /** Further elements of the error document, by name, in order. */
  readonly fields: Readonly<Record<string, string>>;
  /** Headers of the answer, lower-case names; they go out with a HEAD too. */
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    code: string,
    status: number,
    message: string,
    more: {
      fields?: Readonly<Record<string, string>>;
      headers?: Readonly<Record<string, string>>;
      cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.status = status;
    this.fields = more.fields ?? {};
    this.headers = more.headers ?? {};
  }
}
