/** A whole cluster whose nodes, in this process, reach each other and are reached at ::1 only, all over TLS. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { loadConfig } from '../../../storage-node/config.ts';
import { createLog } from '../../../storage-node/log.ts';
import { startNode } from '../../../storage-node/node.ts';
import { portsInARow } from '../../support/ports.ts';
import { run } from '../config/run-command.ts';

const account = { user: 'tester', password: 'tester-secret-123' };
const noIpv6 = !Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

async function startAll(stack: AsyncDisposableStack): Promise<{ endpoints: string[]; ca: string }> {
  const dir = mkdtempSync(path.join(tmpdir(), 'muster-ipv6-'));
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  const first = await portsInARow(4, ['::1']);
  const ports = [0, 1, 2, 3].map((node) => first + node);
  const ca = path.join(dir, 'ca');
  await made(run('certs', 'init', '--dir', ca));
  const drives = ports.map((port) => `http://[::1]:${port}${path.join(dir, String(port))}`).join(' ');
  const endpoints: string[] = [];
  for (const port of ports) {
    const certs = path.join(dir, 'certs', String(port));
    mkdirSync(certs, { recursive: true });
    await made(run('certs', 'issue', '--ca-dir', ca, '--node', `[::1]:${port}`, '--out', certs));
    const [tlsCert, tlsKey] = [path.join(certs, 'node.crt'), path.join(certs, 'node.key')];
    const named = { drives, node: `[0:0::1]:${port}`, certsDir: certs, tlsCert, tlsKey };
    const config = loadConfig({ ...named, rootUser: account.user, rootPassword: account.password }, {});
    const node = await startNode(config, createLog('silent', config.self.id));
    stack.defer(() => node.stop(0));
    endpoints.push(node.endpoint);
  }
  return { endpoints, ca: path.join(ca, 'ca.crt') };
}

async function made(command: ReturnType<typeof run>): Promise<void> {
  const { code, err } = await command;
  assert.deepEqual([code, err], [0, '']);
}

/** The status of the answer and its body. */
function ask(url: string, ca: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    get(url, { ca, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      answer.on('end', () => resolve([answer.statusCode ?? 0, text]));
    }).on('error', reject);
  });
}

const skip = noIpv6 && 'SKIPPED: this machine has no loopback address of IPv6, so nothing here was tried';
test(
  'nodes at [::1] make a cluster that clients write to, ask and administer',
  { skip, timeout: 120_000 },
  async () => {
    await using stack = new AsyncDisposableStack();
    const { endpoints, ca } = await startAll(stack);
    const pem = readFileSync(ca, 'utf8');
    for (const endpoint of endpoints) assert.match(endpoint, /^https:\/\/\[::1\]:\d+$/);
    const answers = (): Promise<[number, string][]> =>
      Promise.all(endpoints.map((one) => ask(`${one}/health/ready`, pem)));
    // Three of four make a node ready; here each is to see all.
    const seesAll = (text: string): boolean =>
      (JSON.parse(text) as { sets: { answering: number; size: number }[] }).sets.every(
        (set) => set.answering === set.size,
      );
    while ((await answers()).some(([status, text]) => status !== 200 || !seesAll(text))) await sleep(20);

    const client = new S3Client({
      ...{ endpoint: endpoints[1]!, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 },
      credentials: { accessKeyId: account.user, secretAccessKey: account.password },
      requestHandler: { httpsAgent: new Agent({ ca: pem }) },
    });
    stack.defer(() => client.destroy());
    await client.send(new CreateBucketCommand({ Bucket: 'six' }));
    await client.send(new PutObjectCommand({ Bucket: 'six', Key: 'a', Body: Buffer.alloc(300_000, 'x') }));
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'six', Key: 'a' }));
    assert.equal((await Body!.transformToString()).length, 300_000);

    const named = endpoints[2]!.replace('https://', '');
    // Three of four nodes make the cluster ready; one of them may stop only once the fourth answers too.
    const canStop = (): Promise<[number, string]> => ask(`${endpoints[0]}/health/can-stop?node=${named}`, pem);
    let [status, text] = await canStop();
    while (status === 412) {
      await sleep(20);
      [status, text] = await canStop();
    }
    assert.deepEqual([status, (JSON.parse(text) as { node: string }).node], [200, named.replace('[::1]:', '0--1-')]);

    stack.defer(() => void delete process.env['MUSTER_ROOT_PASSWORD']);
    process.env['MUSTER_ROOT_PASSWORD'] = account.password;
    const { code, out, err } = await run('status', '--endpoint', endpoints[3]!, '--user', account.user, '--ca', ca);
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /set 0: 4 of 4 drives answer; reads work/);
    assert.match(out, new RegExp(` ${named.replace('[::1]:', '0--1-')}/`));
  },
);
