/** What set-up tells the person in front of it: plain lines, colour only on a terminal. */

const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;

/** @param {string} code @param {string} text */
const paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

/** @param {string} text */
export function say(text) {
  console.log(`${paint('2', 'set-up')}  ${text}`);
}

/** @param {string} text */
export function warn(text) {
  console.log(`${paint('2', 'set-up')}  ${paint('33', text)}`);
}

/** A reason to stop that the person can do something about; shown without a stack trace. */
export class SetupError extends Error {
  /** @override */
  name = 'SetupError';
}

/** @param {unknown} err */
export function complain(err) {
  const text =
    err instanceof SetupError ? err.message : err instanceof Error ? (err.stack ?? err.message) : String(err);
  console.error(`${paint('31', 'SETUP_FAILED')}  ${text}`);
}

/** @param {number} ms */
export function seconds(ms) {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
