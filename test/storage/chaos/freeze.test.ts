import assert from 'node:assert/strict';
import { test } from 'node:test';
import { repeated } from '../../support/long.ts';
import { allSeen } from '../support/all-seen.ts';
import { type ChaosCluster, pause, signal, startOn, until } from './support/cluster.ts';
import { canStop, isWhole } from './support/health.ts';
import { Journal } from './support/journal.ts';
import { addVersions, createBuckets, overwrite, uploadParts, type Writer } from './support/load.ts';
import { tempHomes } from './support/temp-homes.ts';
import { verifyReads } from './support/verify.ts';

const frozen = 3;
const others = [0, 1, 2];
const times = repeated(1, 3);

/** Writers that must never fail, for their nodes live. */
function startLoad(cluster: ChaosCluster, journal: Journal, goesOn: () => boolean): Promise<unknown> {
  const writer = (name: string, node: number): Writer => ({
    ...{ client: cluster.client(node), journal, name: `${name}-${node}`, goesOn },
  });
  return Promise.all([
    ...others.map((node) => overwrite(writer('overwrites', node))),
    ...others.map((node) => addVersions(writer('versions', node))),
    uploadParts(writer('uploads', 1)),
  ]);
}

/** One that writes through the node that freezes: what fails may have happened, and it begins anew with other keys. */
async function writeThroughFrozen(cluster: ChaosCluster, journal: Journal, goesOn: () => boolean): Promise<void> {
  const client = cluster.client(frozen);
  for (let life = 0; goesOn(); life++) {
    await overwrite({ client, journal, name: `frozen-${life}`, goesOn }).catch(() => {});
    await pause(20);
  }
}

/** Freezes the node for seconds: longer than it takes to be passed over, and than a stage waits for one that hangs. */
async function freeze(cluster: ChaosCluster, journal: Journal): Promise<void> {
  const pid = cluster.pids[frozen]!;
  signal(pid, 'SIGSTOP');
  try {
    await Promise.all([pause(2_500), journal.reached(journal.acknowledged + 40)]);
    for (const node of others) assert.equal(await stoppable(cluster, node), 412, 'no further node may go');
  } finally {
    signal(pid, 'SIGCONT');
  }
}

function stoppable(cluster: ChaosCluster, node: number): Promise<number> {
  return canStop(cluster.endpoints[0]!, new URL(cluster.endpoints[node]!).host);
}

test('a node freezes under load and thaws: the others go on, nothing is lost, and it heals', async () => {
  using homes = tempHomes(4);
  await using cluster = await startOn(homes.dirs);
  await createBuckets(cluster.client(0));
  const journal = new Journal();
  let running = true;
  const load = startLoad(cluster, journal, () => running);
  const through = writeThroughFrozen(cluster, journal, () => running);
  const freezes = async (): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await journal.reached(journal.acknowledged + 20);
      await freeze(cluster, journal);
    }
    await journal.reached(journal.acknowledged + 20);
  };
  try {
    await Promise.race([freezes(), load]);
  } finally {
    running = false;
  }
  await Promise.all([load, through]);
  const known = journal.known();
  const clients = [...others, frozen].map(cluster.client);
  await verifyReads(clients, known);
  await until('the node that froze is healed', () => isWhole(cluster.endpoints[0]!));
  for (const node of [...others, frozen]) {
    await until(`${node} may stop`, async () => (await stoppable(cluster, node)) === 200);
  }
  await allSeen(cluster.endpoints);
  // Now what it slept through is needed.
  for (const node of [0, 1]) signal(cluster.pids[node]!, 'SIGKILL');
  await verifyReads(clients.slice(2), known);
});
