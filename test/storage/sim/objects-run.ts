import { checkHistory } from '../linearizability/checker.ts';
import { checkFeed, type FeedEntry, type ListedVersion } from '../linearizability/change-feed.ts';
import { type Action, type Mode } from '../linearizability/history.ts';
import { checkListings, type Listing } from '../linearizability/listings.ts';
import { type Cluster, createCluster, type SimDisk, type SimNode } from './cluster.ts';
import { valueOfEtag } from './content.ts';
import { planFaults } from './faults.ts';
import { checkListed, perform, type Target, valueOfInfo } from './object-client.ts';
import { createRandom, type Random } from './random.ts';
import { type Answer, askFrom, createRecorder, NoServer, outcomeOfError, type Recorder } from './recorder.ts';
import { type RunOptions, type RunResult, untilIdle } from './run.ts';
import { createScheduler, type Scheduler } from './scheduler.ts';
import { type Deadlines, startStorageProgram, type StorageProgram } from './storage-program.ts';

const modes: Record<string, Mode> = { plain: 'off', versioned: 'enabled' };
const buckets = Object.keys(modes);

/** One run's cluster, and what is seen of it. */
export interface World {
  seed: number;
  cluster: Cluster<StorageProgram>;
  scheduler: Scheduler;
  recorder: Recorder;
  listings: Listing[];
  followed: Map<string, FeedEntry[]>;
  keys: string[];
}

export interface ObjectsOptions extends RunOptions {
  /** Something more to happen, when the faults are over and before the last look. */
  interlude?: (world: World) => Promise<void>;
  deadlines?: Deadlines;
}

/**
 * One run: clients of all nodes write, read, list and delete objects, in parts and whole, with conditions and versions,
 * while things go wrong; then everything is mended, healed and looked at.
 */
export async function runObjects(
  seed: number,
  makeDisk: (name: string, random: Random) => SimDisk,
  options: ObjectsOptions = {},
): Promise<RunResult> {
  const scheduler = createScheduler({ keepLines: options.keepLines ?? false });
  const random = createRandom(seed, 'clients');
  const cluster = createCluster<StorageProgram>(scheduler, {
    seed,
    size: options.size ?? 4,
    sets: random.chance(0.2) ? 2 : 1,
    makeDisk,
    startProgram: (node) => startStorageProgram(node, options.deadlines),
    stopProgram: ({ healer }) => void healer.stop().catch(() => {}),
    ...(options.wrapDrive === undefined ? {} : { wrapDrive: options.wrapDrive }),
  });
  const recorder = createRecorder(scheduler);
  const keys = ['plain/a', 'plain/b', 'versioned/a', 'versioned/dir/b'].slice(0, random.between(1, 4));
  const world: World = { seed, cluster, scheduler, recorder, listings: [], followed: new Map(), keys };
  let happened: readonly string[] = [];
  let violation: string | undefined;
  try {
    await untilIdle(scheduler, setUp(world, random));
    const faultRandom = createRandom(seed, 'faults');
    const count = options.faults ?? random.between(3, 6);
    const faults = planFaults(
      cluster,
      { random: faultRandom, scheduler },
      { count, overMs: 1_500, names: options.faultNames },
    );
    happened = faults.happened;
    cluster.network.straggling = options.straggling ?? random.pick([0, 0.01, 0.05]);
    await untilIdle(scheduler, allClients(world, random, options.operations ?? 40));
    faults.heal();
    if (options.interlude !== undefined) {
      await untilIdle(scheduler, options.interlude(world));
      cluster.network.mend();
    }
    cluster.network.straggling = 0;
    violation = await untilIdle(scheduler, lastLook(world, random));
  } catch (error) {
    violation = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { digest, lines } = scheduler;
  return { seed, violation, faults: happened, operations: recorder.operations.length, digest, lines };
}

async function setUp(world: World, random: Random): Promise<void> {
  const { cluster } = world;
  for (const node of cluster.nodes) {
    if (random.chance(0.3)) node.machine.skewMs = random.pick([-3_600_000, -500, 500, 3_600_000]);
    await cluster.start(node);
  }
  const { layer } = cluster.nodes[0]!.program!;
  for (const name of buckets) {
    await layer.createBucket({ name, owner: 'root', region: 'here' });
    if (modes[name] === 'enabled') await layer.setVersioning(name, 'Enabled');
  }
}

async function allClients(world: World, random: Random, operations: number): Promise<void> {
  const count = random.between(3, 5);
  let writing = true;
  const clients = Array.from({ length: count }, (_, i) =>
    runClient(world, `c${i}`, createRandom(world.seed, `client${i}`), Math.ceil(operations / count)),
  );
  const follower = followFeed(world, createRandom(world.seed, 'follower'), () => writing);
  await Promise.all(clients).finally(() => {
    writing = false;
  });
  await follower;
}

async function runClient(world: World, client: string, random: Random, count: number): Promise<void> {
  const seen = new Map<string, { value: string | undefined; versions: string[] }>();
  for (let i = 0; i < count; i++) {
    await pause(world.scheduler, random.pick([0, 5, 50, 200]) * random.next());
    const node = random.pick(world.cluster.nodes);
    if (random.chance(0.12)) {
      await list(world, client, node, random);
      continue;
    }
    const key = random.pick(world.keys);
    const known = seen.get(key) ?? { value: undefined, versions: [] };
    seen.set(key, known);
    const size = random.pick(
      [16, 16, 100, 3_000, 3_000, 40_000, 300_000, 1_100_000].slice(0, random.chance(0.3) ? 8 : 5),
    );
    const action = chooseAction(random, `${client}.${i}/${size}`, known);
    const inParts = action.kind === 'put' && random.chance(0.15);
    const outcome = await world.recorder.run({ client, key }, action, () => ask(world, node, { key, action, inParts }));
    if (outcome?.kind !== 'ok') continue;
    if (action.kind === 'get' && action.versionId === undefined) known.value = outcome.value;
    if (outcome.versionId !== undefined) known.versions.push(outcome.versionId);
  }
}

function chooseAction(
  random: Random,
  value: string,
  { value: current, versions }: { value: string | undefined; versions: readonly string[] },
): Action {
  const chance = random.next();
  const someVersion = versions.length > 0 && random.chance(0.4) ? { versionId: random.pick(versions) } : {};
  const condition =
    current === undefined || random.chance(0.4)
      ? { ifNoneMatch: '*' }
      : { ifMatch: random.chance(0.2) ? '*' : current };
  if (chance < 0.4) return { kind: 'get', ...someVersion };
  if (chance < 0.48) return { kind: 'tag', tag: value, ...someVersion };
  if (chance < 0.65) return { kind: 'put', value };
  if (chance < 0.77) return { kind: 'delete', ...someVersion };
  if (chance < 0.82 && 'ifMatch' in condition) return { kind: 'delete', condition };
  return { kind: 'put', value, condition };
}

interface Request {
  key: string;
  action: Action;
  inParts: boolean;
}

/** An operation of several requests takes them to several nodes, with pauses between. */
export async function ask(
  world: World,
  node: SimNode<StorageProgram>,
  { key, action, inParts }: Request,
): Promise<Answer> {
  const slash = key.indexOf('/');
  const [bucket, name] = [key.slice(0, slash), key.slice(slash + 1)];
  const { cluster, scheduler } = world;
  let next = node;
  const request: Target['request'] = async (run) => {
    const to = next;
    next = cluster.nodes[(to.machine.index + 1 + (scheduler.stamp() % 2)) % cluster.nodes.length]!;
    if (to !== node) await pause(scheduler, [0, 3, 30, 300][scheduler.stamp() % 4]!);
    return onNode(world, to, ({ layer }) => run(layer));
  };
  return perform({ bucket, key: name, request }, action, inParts);
}

async function onNode<T>(
  world: World,
  { machine, program }: SimNode<StorageProgram>,
  run: (program: StorageProgram) => Promise<T>,
): Promise<T> {
  if (program === undefined) {
    await pause(world.scheduler, 50);
    throw new NoServer('connection refused');
  }
  return askFrom(world.scheduler, machine, () => run(program));
}

/** Lists a bucket in small pages; what it shows of each key is also a read of that key. */
async function list(world: World, client: string, node: SimNode<StorageProgram>, random: Random): Promise<void> {
  const { scheduler } = world;
  const bucket = random.pick(buckets);
  const maxKeys = random.pick([1, 1_000]);
  const calledAt = scheduler.stamp();
  const found: string[] = [];
  let after = '';
  scheduler.note(`${client} lists ${bucket}`);
  try {
    for (;;) {
      const input = { prefix: '', delimiter: '', after, maxKeys };
      const page = await onNode(world, node, ({ layer }) => layer.list(bucket, input));
      for (const info of page.objects) {
        checkListed(info);
        found.push(`${bucket}/${info.key}`);
      }
      if (page.next === undefined) break;
      after = page.next;
    }
  } catch (error) {
    if (!(error instanceof NoServer)) outcomeOfError(error);
    return;
  }
  const covers = (key: string): boolean => key.startsWith(`${bucket}/`);
  world.listings.push({ client, keys: found, covers, calledAt, returnedAt: scheduler.stamp() });
  scheduler.note(`${client} found ${found.join(' ')}`);
}

/** Reads the feed of each bucket as it grows, from whatever node answers. */
async function followFeed(world: World, random: Random, going: () => boolean): Promise<void> {
  const positions = new Map<string, number>();
  while (going()) {
    await pause(world.scheduler, 100 * random.next());
    for (const bucket of buckets) {
      const page = await readFeed(world, random.pick(world.cluster.nodes), bucket, positions.get(bucket) ?? 0);
      if (page === undefined) continue;
      positions.set(bucket, page.position);
      world.followed.set(bucket, [...(world.followed.get(bucket) ?? []), ...page.entries]);
    }
  }
}

async function readFeed(
  world: World,
  node: SimNode<StorageProgram>,
  bucket: string,
  after: number,
): Promise<{ entries: FeedEntry[]; position: number; more: boolean } | undefined> {
  try {
    const input = { after, limit: 7, waitMs: 0 };
    const { changes, position, more } = await onNode(world, node, ({ layer }) => layer.changes(bucket, input));
    const entries = changes.map(({ position: at, kind, key, versionId, etag }): FeedEntry => {
      return { position: at, kind, key: `${bucket}/${key}`, versionId, value: valueOfEtag(etag) };
    });
    for (const entry of entries) world.scheduler.note(`feed: ${JSON.stringify(entry)}`);
    return { entries, position, more };
  } catch (error) {
    if (!(error instanceof NoServer)) outcomeOfError(error);
    world.scheduler.note(`feed: ${String(error)}`);
    return undefined;
  }
}

/** After everything was mended. @returns what is wrong */
async function lastLook(world: World, random: Random): Promise<string | undefined> {
  const { cluster, recorder, listings } = world;
  await readAll(world, cluster.nodes, 'last');
  await twoDaysLater(world);
  await untilWhole(world);
  const versions = (await Promise.all(buckets.map((bucket) => allVersions(world, bucket)))).flat();
  const feed = (await Promise.all(buckets.map((bucket) => wholeFeed(world, bucket)))).flat();
  // Any N/2 nodes may be lost now, and everything can still be read.
  const lost = random.shuffled(cluster.nodes).slice(0, cluster.nodes.length / 2);
  for (const node of lost) cluster.crash(node);
  await readAll(
    world,
    cluster.nodes.filter((node) => !lost.includes(node)),
    'half',
  );
  const report = checkHistory(recorder.operations, { modeOf: (key) => modes[key.slice(0, key.indexOf('/'))]! });
  if (report.kind !== 'linearizable') return report.text;
  const wrong = [...checkListings(recorder.operations, listings), ...wrongFeeds(world, feed, versions)];
  return wrong.length === 0 ? undefined : wrong.join('\n');
}

function wrongFeeds(world: World, feed: readonly FeedEntry[], versions: readonly ListedVersion[]): string[] {
  return buckets.flatMap((bucket) => {
    const own = <T extends { key: string }>(all: readonly T[]): T[] =>
      all.filter(({ key }) => key.startsWith(`${bucket}/`));
    const followed = [world.followed.get(bucket) ?? []];
    return checkFeed({
      operations: own(world.recorder.operations),
      feed: own(feed),
      followed,
      versions: own(versions),
    });
  });
}

/** Every key, and every version that was acknowledged, can be read from these nodes. */
async function readAll(world: World, nodes: readonly SimNode<StorageProgram>[], client: string): Promise<void> {
  const { recorder } = world;
  const versions = new Map<string, Set<string>>();
  for (const { key, outcome } of recorder.operations) {
    if (outcome.kind !== 'ok' || outcome.versionId === undefined) continue;
    versions.set(key, (versions.get(key) ?? new Set()).add(outcome.versionId));
  }
  for (const [i, node] of nodes.entries()) {
    for (const key of world.keys) {
      const reads: Action[] = [{ kind: 'get' }];
      if (modes[key.slice(0, key.indexOf('/'))] === 'enabled') {
        const own = [...(versions.get(key) ?? [])].filter((_, at) => at % nodes.length === i);
        for (const versionId of own) reads.push({ kind: 'get', versionId });
      }
      for (const action of reads) {
        await persistently(world, `${key} cannot be read from node${node.machine.index}`, () =>
          recorder
            .run({ client: `${client}${node.machine.index}`, key }, action, () =>
              ask(world, node, { key, action, inParts: false }),
            )
            .then((outcome) => (outcome?.kind === 'ok' ? outcome : undefined)),
        );
      }
    }
  }
}

async function persistently<T>(
  world: World,
  complaint: string | (() => string),
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  for (let tries = 0; ; tries++) {
    const result = await attempt();
    if (result !== undefined) return result;
    if (tries === 20) throw new Error(`${typeof complaint === 'string' ? complaint : complaint()}, though all is well`);
    await pause(world.scheduler, 500);
  }
}

/** Healing brings every set back to full strength, and proves it by counting. */
async function untilWhole(world: World): Promise<void> {
  const node = world.cluster.nodes[0]!;
  let reasons: string[] = [];
  const sets = node.program!.world.sets;
  for (const set of sets) {
    await persistently(
      world,
      () => `set ${set.index} does not become whole (${reasons.join('; ')})`,
      async () => {
        await node.program!.healer.run(set, 'scrub');
        const status = node.program!.healer.status().find((one) => one.set === set.index);
        reasons = status?.last?.result.reasons ?? [];
        world.scheduler.note(`heal: ${JSON.stringify(status?.last)}`);
        return status?.last?.whole === true ? true : undefined;
      },
    );
  }
}

/**
 * All machines are off for two days. After that the feed has what a clock that was ahead has dated, and what is left of
 * uploads whose clients died may go.
 */
async function twoDaysLater(world: World): Promise<void> {
  const { cluster, scheduler } = world;
  for (const node of cluster.nodes) cluster.crash(node);
  await pause(scheduler, 2 * 24 * 3_600_000);
  for (const node of cluster.nodes) await cluster.start(node);
  const { layer } = cluster.nodes[0]!.program!;
  for (const name of buckets) {
    await persistently(world, `uploads of ${name} cannot be swept`, async () => {
      const ended = await layer.uploads.sweep(await layer.bucket(name), 0).catch(() => undefined);
      scheduler.note(`swept ${ended} uploads of ${name}`);
      return ended;
    });
  }
}

async function allVersions(world: World, bucket: string): Promise<ListedVersion[]> {
  const input = { prefix: '', delimiter: '', keyMarker: '', versionIdMarker: '', maxKeys: 1_000 };
  const page = await persistently(world, `the versions of ${bucket} cannot be listed`, () =>
    onNode(world, world.cluster.nodes[1]!, ({ layer }) => layer.listVersions(bucket, input)).catch(() => undefined),
  );
  return page.versions.map((info) => {
    const value = info.deleteMarker ? undefined : valueOfInfo(info);
    return { key: `${bucket}/${info.key}`, versionId: info.versionId, value };
  });
}

async function wholeFeed(world: World, bucket: string): Promise<FeedEntry[]> {
  const feed: FeedEntry[] = [];
  const { cluster, scheduler } = world;
  let after = 0;
  for (let quiet = 0; quiet < 3;) {
    const node = cluster.nodes[quiet % cluster.nodes.length]!;
    const page = await persistently(world, `the feed of ${bucket} cannot be read`, () =>
      readFeed(world, node, bucket, after),
    );
    feed.push(...page.entries);
    quiet = page.entries.length === 0 && !page.more ? quiet + 1 : 0;
    after = page.position;
    await pause(scheduler, 200);
  }
  return feed;
}

export function pause(scheduler: Scheduler, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    scheduler.after(delayMs, resolve);
  });
}
