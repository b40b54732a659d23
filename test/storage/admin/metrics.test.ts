import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { createMetrics, type Metrics } from '../../../storage-node/admin/metrics.ts';
import { type Kernels } from '../../../storage-node/erasure/types.ts';
import { type Healer } from '../../../storage-node/heal/healer.ts';
import { type Recount } from '../../../storage-node/heal/recount.ts';
import { rootCredentials } from '../../../storage-node/http/credentials.ts';
import { ossOperations } from '../../../storage-node/http/oss/index.ts';
import { s3Operations } from '../../../storage-node/http/s3/index.ts';
import { createFrontDoor } from '../../../storage-node/http/server.ts';
import { type Drive } from '../../../storage-node/store/drive.ts';
import { memoryLayer } from '../http/s3/front.ts';
import { type By, targetOf, ways } from '../http/signing.ts';
import { account, adminParts, ask, fakeCluster, statOf } from './fakes.ts';

function driveThat(stat: () => Promise<ReturnType<typeof statOf>>, stopped?: string): Drive {
  return { stat, stopReason: () => stopped } as Partial<Drive> as Drive;
}

function healerThat(whole: boolean | undefined, scrubbedAtMs?: number): Healer {
  const last = { kind: 'scrub' as const, startedAtMs: 0, endedAtMs: 1, result: {} as Recount };
  return {
    status: () => [
      { set: 0, running: undefined, last: whole === undefined ? undefined : { ...last, whole }, scrubbedAtMs },
    ],
    totals: () => ({ queued: 1, dropped: 2, keysHealed: 3, shardsWritten: 4, bytesWritten: 5, damagedShards: 6 }),
  } as Partial<Healer> as Healer;
}

function metricsOf(given: Partial<Parameters<typeof createMetrics>[0]> = {}): Metrics {
  const cluster = fakeCluster(4);
  cluster.put('gone', 1);
  return createMetrics({
    drives: new Map([[0, driveThat(() => Promise.resolve(statOf('ok')))]]),
    sets: cluster.sets,
    kernels: { arena: { inUseBytes: 64, totalBytes: 128 } } as Kernels,
    healer: healerThat(true, 1_700_000_000_000),
    ...given,
  });
}

interface Family {
  type: string;
  help: string;
  samples: Map<string, number>;
}

/** Reads Prometheus' text format 0.0.4 strictly: every line must be one of it. */
function parsed(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  assert.ok(text.endsWith('\n'), 'the last line ends');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const help = /^# HELP ([a-z_]+) (\S.*)$/.exec(line);
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line);
    const sample = /^([a-z_]+)((?:\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+\})?) (-?[\d.e+-]+|\+Inf|NaN)$/.exec(line);
    if (help !== null) {
      assert.ok(!families.has(help[1]!), `${help[1]} is there twice`);
      families.set(help[1]!, { help: help[2]!, type: '', samples: new Map() });
    } else if (type !== null) {
      families.get(type[1]!)!.type = type[2]!;
    } else {
      assert.ok(sample !== null, `not of the format: ${line}`);
      const [, name = '', labels = '', value] = sample;
      const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
      assert.ok(family !== undefined && family.type !== '', `${name} was not announced`);
      assert.ok(!family.samples.has(name + labels), `${name}${labels} is there twice`);
      family.samples.set(name + labels, Number(value));
    }
  }
  return families;
}

function valueOf(families: Map<string, Family>, name: string, sample = ''): number | undefined {
  return families.get(`muster_storage_${name}`)?.samples.get(`muster_storage_${name}${sample}`);
}

describe('metrics', () => {
  const rows: [name: string, sample: string, value: number][] = [
    ['drive_total_bytes', '{drive="0"}', 1000],
    ['drive_free_bytes', '{drive="0"}', 400],
    ['drive_index_bytes', '{drive="0"}', 10],
    ['drive_segment_bytes', '{drive="0"}', 20],
    ['drive_live_bytes', '{drive="0"}', 15],
    ['drive_registers', '{drive="0"}', 3],
    ['drive_quarantined', '{drive="0"}', 1],
    ['drive_up', '{drive="0"}', 1],
    ['set_suspects', '{set="0"}', 1],
    ['arena_bytes', '{state="used"}', 64],
    ['arena_bytes', '{state="total"}', 128],
    ['heal_total', '{what="queued"}', 1],
    ['heal_total', '{what="dropped"}', 2],
    ['heal_total', '{what="keysHealed"}', 3],
    ['heal_total', '{what="shardsWritten"}', 4],
    ['heal_total', '{what="bytesWritten"}', 5],
    ['heal_total', '{what="damagedShards"}', 6],
    ['heal_whole', '{set="0"}', 1],
    ['scrubbed_timestamp_seconds', '{set="0"}', 1_700_000_000],
  ];
  test('are what the parts say, in the format that is announced', async () => {
    const { status, type, text } = (await ask(adminParts({ metrics: metricsOf() }), { url: '/metrics' }))!;
    assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4']);
    const families = parsed(text);
    for (const [name, sample, value] of rows) assert.equal(valueOf(families, name, sample), value, name + sample);
    for (const [name, { help }] of families) assert.ok(name.startsWith('muster_storage_') && help.endsWith('.'), name);
    assert.ok(valueOf(families, 'resident_bytes')! > 0);
  });

  test('count requests by operation and class of status, and how long they took', async () => {
    const metrics = metricsOf();
    for (const [operation, status, seconds] of [
      ['GetObject', 200, 0.002],
      ['GetObject', 206, 0.02],
      ['GetObject', 404, 0.2],
      ['PutObject', 503, 20],
      ['unknown', 403, 100],
    ] as const) {
      metrics.request({ operation, status, seconds });
    }
    const families = parsed(await metrics.text());
    const requests = families.get('muster_storage_requests_total')!;
    assert.equal(requests.type, 'counter');
    assert.deepEqual(
      [...requests.samples]
        .map(([name, value]) => `${name.replace('muster_storage_requests_total', '')} ${value}`)
        .sort(),
      [
        '{operation="GetObject",status="2xx"} 2',
        '{operation="GetObject",status="4xx"} 1',
        '{operation="PutObject",status="5xx"} 1',
        '{operation="unknown",status="4xx"} 1',
      ],
    );
    const { type, samples } = families.get('muster_storage_request_seconds')!;
    const below = (bound: string, operation: string): number | undefined =>
      samples.get(`muster_storage_request_seconds_bucket{le="${bound}",operation="${operation}"}`);
    assert.equal(type, 'histogram');
    assert.deepEqual(
      ['0.0025', '0.025', '0.25', '+Inf'].map((bound) => below(bound, 'GetObject')),
      [1, 2, 3, 3],
    );
    assert.deepEqual(
      ['30', '+Inf'].map((bound) => below(bound, 'unknown')),
      [0, 1],
    );
  });

  const wholes: { name: string; healer: Healer; whole: number; scrubbed: number }[] = [
    { name: 'of no recount, nothing is proven', healer: healerThat(undefined), whole: 0, scrubbed: 0 },
    { name: 'of a recount that found something short', healer: healerThat(false, 5_000), whole: 0, scrubbed: 5 },
    { name: 'of a recount that proved the set whole', healer: healerThat(true), whole: 1, scrubbed: 0 },
  ];
  for (const { name, healer, whole, scrubbed } of wholes) {
    test(name, async () => {
      const families = parsed(await metricsOf({ healer }).text());
      assert.equal(valueOf(families, 'heal_whole', '{set="0"}'), whole);
      assert.equal(valueOf(families, 'scrubbed_timestamp_seconds', '{set="0"}'), scrubbed);
    });
  }

  test('of a drive that can no longer say how it is leave out what is not known, and nothing else', async () => {
    let told = 0;
    const once = (): ReturnType<Drive['stat']> =>
      told++ < 7 ? Promise.resolve(statOf('ok')) : Promise.reject(new Error('EIO'));
    const drives = new Map([
      [0, driveThat(once, 'EIO')],
      [1, driveThat(() => Promise.resolve(statOf('ok')))],
    ]);
    const metrics = metricsOf({ drives });
    assert.equal(valueOf(parsed(await metrics.text()), 'drive_free_bytes', '{drive="0"}'), 400);
    const families = parsed(await metrics.text());
    assert.equal(valueOf(families, 'drive_up', '{drive="0"}'), 0);
    assert.equal(valueOf(families, 'drive_up', '{drive="1"}'), 1);
    assert.equal(valueOf(families, 'drive_free_bytes', '{drive="0"}'), undefined);
    assert.equal(valueOf(families, 'drive_free_bytes', '{drive="1"}'), 400);
    assert.equal(valueOf(families, 'heal_whole', '{set="0"}'), 1);
  });

  test('are read anew each time', async () => {
    let stopped: string | undefined;
    const drive = { ...driveThat(() => Promise.resolve(statOf('ok'))), stopReason: () => stopped };
    const metrics = metricsOf({ drives: new Map([[0, drive]]) });
    assert.equal(valueOf(parsed(await metrics.text()), 'drive_up', '{drive="0"}'), 1);
    stopped = 'EIO';
    assert.equal(valueOf(parsed(await metrics.text()), 'drive_up', '{drive="0"}'), 0);
  });
});

test('no name, key, secret or address that a client sends gets into the metrics', async () => {
  const metrics = metricsOf();
  const server = createFrontDoor({
    ...{ operations: [...s3Operations, ...ossOperations], layer: memoryLayer() },
    credentials: rootCredentials(account.accessKey, account.secret),
    settings: { region: 'us-east-1', owner: 'root', host: 'test' },
    observe: metrics.request,
  }).server();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const marked = 'zzqx';
  const bys: By[] = [account, { accessKey: `${marked}key`, secret: marked }].map((who) => ({
    ...{ ...who, region: 'us-east-1', atMs: Date.now(), seconds: 60 },
  }));
  try {
    for (const way of ways) {
      for (const by of bys) {
        for (const method of ['PUT', 'GET', 'HEAD', 'DELETE', 'PATCH']) {
          for (const path of [`/${marked}`, `/${marked}/${marked}`]) {
            const headers = { host: `${marked}.example.com`, 'user-agent': marked };
            const sent = await way.sign({ method, path, query: { [marked]: marked }, headers }, by);
            await new Promise((resolve, reject) => {
              const to = { host: '127.0.0.1', port, method, path: targetOf(sent), headers: sent.headers, agent: false };
              httpRequest(to, (answer) => answer.resume().on('end', resolve))
                .on('error', reject)
                .end();
            });
          }
        }
      }
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
  const text = await metrics.text();
  const families = parsed(text);
  const counted = [...families.get('muster_storage_requests_total')!.samples.values()];
  assert.equal(
    counted.reduce((sum, value) => sum + value, 0),
    ways.length * bys.length * 10,
  );
  for (const secret of [marked, account.secret, '127.0.0.1']) assert.ok(!text.includes(secret), secret);
  const operations = new Set([...s3Operations, ...ossOperations].map(({ name }) => name).concat('unknown'));
  for (const [, name] of text.matchAll(/operation="([^"]*)"/g)) assert.ok(operations.has(name!), name);
});
