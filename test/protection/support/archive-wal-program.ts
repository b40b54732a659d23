/** An archive of WAL in a process of its own, to be killed: `archive-wal-program.ts ORDER HOME`. */
import type { ArchiveWalOrder } from '../../../workflows/engine/protection.ts';
import { startArchiving } from './archiving.ts';

const [order = '', home = ''] = process.argv.slice(2);
await startArchiving(JSON.parse(order) as ArchiveWalOrder, home).done;
