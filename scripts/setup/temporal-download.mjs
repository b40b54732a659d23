/** The Temporal SDK's own download of the CLI. Without internet it is given up at once instead of after a long silence. */
import { existsSync, readdirSync, renameSync, statSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.mjs';
import { say, seconds } from './say.mjs';

const host = 'temporal.download'; // where the SDK downloads from; not configurable there
const connectLimitMs = 3_000;
const silenceLimitMs = 20_000;

/**
 * @param {{ folder: string, version: string, node24: string, onStart: (pid: number) => void }} to
 * @returns {Promise<string | null>} null when `folder/temporal` is there, else why it is not
 */
export async function downloadWithSdk({ folder, version, node24, onStart }) {
  const proxied = process.env.HTTPS_PROXY ?? process.env.https_proxy ?? process.env.ALL_PROXY ?? process.env.all_proxy;
  const unreachable = proxied ? null : await connectFailure();
  if (unreachable !== null) return `${host} cannot be reached (${unreachable})`;

  say(`downloading the Temporal CLI ${version} from ${host}`);
  const script = fileURLToPath(new URL('./sdk-download.mjs', import.meta.url));
  let seenBytes = 0;
  let silentSinceMs = 0;
  const ended = await run(node24, [script, folder, `v${version}`], {
    onStart,
    limitMs: 10 * 60_000,
    tickMs: 5_000,
    onTick: (elapsedMs) => {
      const bytes = bytesIn(folder);
      if (bytes === seenBytes) return elapsedMs - silentSinceMs < silenceLimitMs;
      seenBytes = bytes;
      silentSinceMs = elapsedMs;
      say(`still downloading Temporal, ${seconds(elapsedMs)}: ${Math.round(bytes / 1e6)} MB unpacked`);
      return true;
    },
  });
  // The SDK starts a server right after its download. The download counts, whether or not that start went well.
  const downloaded = path.join(folder, `temporal-v${version}`);
  if (!existsSync(downloaded)) return ended.timedOut ? 'it stood still and was given up' : ended.tail;
  renameSync(downloaded, path.join(folder, 'temporal'));
  return null;
}

/** @returns {Promise<string | null>} */
function connectFailure() {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port: 443 });
    const settle = (/** @type {string | null} */ why) => {
      clearTimeout(limit);
      socket.destroy();
      resolve(why);
    };
    const limit = setTimeout(() => settle(`no answer within ${seconds(connectLimitMs)}`), connectLimitMs);
    socket.once('connect', () => settle(null));
    socket.once('error', (err) => settle(/** @type {NodeJS.ErrnoException} */ (err).code ?? err.message));
  });
}

/** @param {string} folder */
function bytesIn(folder) {
  const sizes = readdirSync(folder).map(
    (name) => statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0,
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
