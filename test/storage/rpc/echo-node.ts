/** A node in a process of its own, to be stopped and killed: tells its port and answers `echo`. */
import { createRpcServer } from '../../../storage-node/rpc/server.ts';
import { countedMemory, realClock } from './loopback.ts';

const server = createRpcServer({
  name: { clusterId: 'test-cluster', nodeId: '1' },
  security: { kind: 'plain' },
  drives: new Map(),
  controls: new Map([['echo', (body: unknown) => body]]),
  clock: realClock,
  take: countedMemory().take,
});
process.send?.(await server.listen('127.0.0.1', 0));
process.once('disconnect', () => process.exit());
