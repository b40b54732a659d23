/** Who may sign requests. Users come later; now there is the root account. */
export interface Credentials {
  lookup(accessKey: string): { secret: string; owner: string } | undefined;
}

export function rootCredentials(accessKey: string, secret: string): Credentials {
  return { lookup: (key) => (key === accessKey ? { secret, owner: accessKey } : undefined) };
}
