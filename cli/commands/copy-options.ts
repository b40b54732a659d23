import { type Command } from 'commander';

export const all = (value: string, before: string[]): string[] => [...before, value];

/** Which objects are meant. */
export function addChoice(command: Command): Command {
  return command
    .option('--include <glob>', 'only these keys; may be repeated', all, [])
    .option('--exclude <glob>', 'not these keys; may be repeated', all, [])
    .option('--min-size <size>', 'e.g. 500B, 10K, 5M; a number alone is KiB')
    .option('--max-size <size>', 'e.g. 2G')
    .option('--min-age <time>', 'written at least so long ago, e.g. 12h')
    .option('--max-age <time>', 'written at most so long ago, e.g. 7d')
    .option('--tag <name=value>', 'only objects with this tag; may be repeated', all, [])
    .option('--versions', 'all versions, oldest first, and delete markers');
}

/** How fast and how wide. */
export function addLimits(command: Command): Command {
  return command
    .option('--transfers <number>', 'objects at once', '32')
    .option('--parts <number>', 'parts of large objects at once', '4')
    .option('--part-size <size>', 'of large objects; grows to fit 10,000 parts', '16M')
    .option('--listers <number>', 'ranges of keys listed at once', '8')
    .option('--bwlimit <rate>', 'bytes a second: 10M, or by the time of day: "08:00,10M 18:00,off"')
    .option('--tpslimit <rate>', 'requests a second, or by the time of day')
    .option('--credentials-wait <time>', 'how long to wait for new keys when they are refused', '15m');
}

/** What goes along with the bytes. */
export function addCarry(command: Command): Command {
  return command
    .option('--storage-class <name>', 'keep, default, or a class of the target', 'keep')
    .option('--no-tags', 'leave tags behind')
    .option('--no-locks', 'leave retention and legal holds behind')
    .option('--restore-archived <days>', 'ask for archived objects to be restored for so many days');
}
