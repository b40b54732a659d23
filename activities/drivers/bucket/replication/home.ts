import path from 'node:path';

/** What the control plane's activities of protection keep lies here, below its home (MUSTER_HOME). */
export function protectionDir(home: string): string {
  return path.join(path.resolve(home), 'protection');
}

/** Where the replication of one resource keeps its turn, its ledgers and its last figures. */
export function replicationDir(stateDir: string, service: string, resource: string): string {
  return path.join(stateDir, 'replication', service, resource);
}
