/** A worker as a process of its own, to be killed: address of Temporal, of the ledger, and MUSTER_HOME. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { openLedger } from '../../../worker/ledger/ledger.ts';
import { startProtectionWorker } from './worker.ts';

Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
const [address = '', ledgerUrl = '', home = ''] = process.argv.slice(2);
await startProtectionWorker(address, openLedger(ledgerUrl), home);
