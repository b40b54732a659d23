import type { Command } from 'commander';
import { action } from '../command.ts';

const help = `
With --consistent: the newest moment to which all resources of the service can be brought together. A database is brought
there by its archived WAL (\`wal: stream\` in the estate); a bucket is what it was when it was listed. The skew says how
far the parts lie apart, and what dangles is named: objects that were written after the database's moment, and, where
the estate says how rows name objects (\`references\`), after a restore the rows whose object is missing and the objects
that no row refers to.

Examples:
  $ npx muster recovery-points shop
  $ npx muster recovery-points shop --consistent
  $ npx muster recovery-points shop --consistent --restore-into /srv/restored

Exit codes: 0 done; 1 there is no common point; 3 the skew is larger than the service's rpoSeconds`;

export function addRecoveryPoints(program: Command): void {
  program
    .command('recovery-points [service]')
    .description('What a service can be brought back to; with --consistent all of it to one moment')
    .option('--consistent', 'name the newest moment common to all resources, its skew, and what dangles')
    .option('--restore-into <directory>', 'with --consistent: restore each resource into a directory of its own there')
    .option('--by <name>', 'who orders it (default: $USER)')
    .option('--json', 'print as JSON')
    .addHelpText('after', help)
    .action(action(async () => (await import('../recovery-points.ts')).showPoints));
}
