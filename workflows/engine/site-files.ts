import type { Protected } from './protection.ts';

/**
 * The site whose agent alone can read and write a resource: files lie on its machine. Null for what the control plane
 * reaches over the network.
 */
export function siteThatReads({ resource, site }: Pick<Protected, 'resource' | 'site'>): string | null {
  return resource.driver === 'directory' ? site : null;
}
