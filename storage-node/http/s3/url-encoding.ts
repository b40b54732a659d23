const plain = /^[A-Za-z0-9._~/-]*$/;

/**
 * Percent-encodes UTF-8 as S3 does for `encoding-type=url`: a space is `%20`, a plus `%2B`, slashes stay.
 */
export function encodeUrl(text: string): string {
  if (plain.test(text)) return text;
  return encodeURIComponent(text)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
