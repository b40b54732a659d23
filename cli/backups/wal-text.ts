import type { WalArchive } from '../../worker/wal-archives.ts';
import { style } from '../output.ts';
import { formatBytes } from '../format.ts';

/** One line of how far an archive of WAL is, and one for each thing about it that somebody should look at. */
export function walLines({ phase, now, lastFailure, synchronous }: WalArchive): string[] {
  const failure = lastFailure === null ? '' : `, after: ${lastFailure}`;
  if (phase === 'not running') return [`WAL ${style.yellow('is not archived')}: muster apply starts it`];
  if (phase === 'paused') return [`WAL ${style.yellow('paused')}: the server keeps what it writes meanwhile`];
  if (now === null) return [`WAL ${style.yellow('waiting')}: nobody archives it at the moment${failure}`];
  const { state, timeline, safeLsn, lagBytes, gaps, problem } = now;
  const parts = [
    state === 'streaming' ? style.green(state) : style.yellow(state),
    timeline === null ? '' : `timeline ${timeline}`,
    safeLsn === null ? 'nothing in the vault yet' : `in the vault up to ${safeLsn}`,
    lagBytes === null ? 'unknown how far behind' : `${formatBytes(lagBytes)} not received`,
  ];
  const wait = waitText(now.syncState, synchronous);
  return [
    `WAL ${[...parts, ...wait.parts].filter((part) => part !== '').join(', ')}`,
    ...wait.warnings,
    ...(problem === null ? [] : [style.yellow(`tried again: ${problem}`)]),
    ...gaps.map((gap) => `${style.red('gap')} ${gap}; take a base backup: what lies behind it needs one`),
  ];
}

/** Only what the server itself says counts. */
function waitText(syncState: string | null, synchronous: boolean): { parts: string[]; warnings: string[] } {
  const waits = syncState === 'sync' || syncState === 'quorum';
  if (!synchronous) return { parts: [], warnings: [] };
  if (waits) return { parts: ['commits wait for it'], warnings: [] };
  const said = syncState === null ? 'nothing' : syncState;
  const fix = 'name the archive in its synchronous_standby_names';
  return { parts: [], warnings: [style.red(`commits do not wait for it (the server says ${said}): ${fix}`)] };
}
