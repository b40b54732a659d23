/** A receiver as a process of its own, to be killed: `receive.ts URL ARCHIVE SLOT [synchronous]`. */
import { DirectoryWalArchive } from '../../../../activities/backup/postgres/directory-wal-archive.ts';
import { startReceiver } from '../../../../activities/backup/postgres/wal-stream.ts';

const [url = '', archive = '', slot = '', mode] = process.argv.slice(2);
const store = new DirectoryWalArchive(archive);
const synchronous = mode === 'synchronous';
await startReceiver({ url: () => url, slot, name: slot, store, synchronous, retryMs: 200 }).done;
