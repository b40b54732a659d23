import { adminCall } from '../../storage-node/admin/client.ts';
import { healText, statusText } from './status.ts';
import { parseCertificate, readNamed, readPem } from './values.ts';

/** Options that say which cluster is meant and who asks. */
interface Target {
  endpoint: string;
  user?: string;
  password?: string;
  credentials?: string;
  region: string;
  ca?: string;
  json?: boolean;
}

/** `muster storage-node status` */
export function status(options: Target): Promise<void> {
  return order(options, 'GET', '/status', statusText);
}

/** `muster storage-node heal` */
export function heal(options: Target & { verify?: boolean; set?: string; wait: boolean }): Promise<void> {
  const query = new URLSearchParams({ wait: String(options.wait), verify: String(options.verify === true) });
  if (options.set !== undefined) query.set('set', options.set);
  return order(options, 'POST', `/heal?${query.toString()}`, healText);
}

/** `muster storage-node fence` and `unfence` */
export function setFence(name: 'fence' | 'unfence'): (options: Target & { epoch: string }) => Promise<void> {
  return (options) =>
    order(options, 'POST', `/${name}?epoch=${encodeURIComponent(options.epoch)}`, (body) => {
      const { epoch, fenced } = body as { epoch: number; fenced: boolean };
      return `the site is ${fenced ? 'fenced' : 'open'} at epoch ${epoch}\n`;
    });
}

async function order(
  options: Target,
  method: 'GET' | 'POST',
  pathAndQuery: string,
  text: (body: unknown) => string,
): Promise<void> {
  const reply = await adminCall(
    { ...account(options), timeoutMs: 3_600_000 },
    method,
    `/muster/admin/v1${pathAndQuery}`,
  );
  if (reply.status >= 400) {
    const { error, message } = reply.body as { error?: string; message?: string };
    throw new Error(`${options.endpoint}: ${error ?? reply.status}: ${message ?? 'no reason given'}`);
  }
  process.stdout.write(options.json === true ? `${JSON.stringify(reply.body, null, 2)}\n` : text(reply.body));
}

function account(options: Target): { endpoint: string; user: string; password: string; region: string; ca?: string } {
  const file = options.credentials === undefined ? undefined : credentialsIn(options.credentials);
  const user = options.user ?? file?.user ?? process.env['MUSTER_ROOT_USER'];
  const password = file?.password ?? process.env['MUSTER_ROOT_PASSWORD'];
  if (user === undefined || password === undefined) {
    throw new Error('say who asks: MUSTER_ROOT_USER and MUSTER_ROOT_PASSWORD, or --credentials FILE');
  }
  const ca = options.ca === undefined ? {} : { ca: readPem('--ca', options.ca, parseCertificate) };
  return { endpoint: endpointOf(options), user, password, region: options.region, ...ca };
}

/** Without a protocol Node would take `node1:` of `node1:9000` for one and ask this machine. */
function endpointOf({ endpoint }: Target): string {
  if (/^https?:\/\//i.test(endpoint) && URL.canParse(endpoint)) return endpoint;
  throw new Error(
    `--endpoint (MUSTER_STORAGE_ENDPOINT) must be a URL such as http://node1:9000 or http://[::1]:9000, not "${endpoint}"`,
  );
}

/** Says nothing of what is in the file: the parser's own message would quote it. */
function credentialsIn(file: string): { user: string; password: string } {
  const text = readNamed('--credentials', file);
  try {
    const { user, password } = JSON.parse(text) as Record<string, unknown>;
    if (typeof user === 'string' && typeof password === 'string') return { user, password };
  } catch {
    // It is said below.
  }
  throw new Error(`--credentials names ${file}, which is no JSON such as {"user": "…", "password": "…"}`);
}
