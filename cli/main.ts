import { Command } from 'commander';
import { addDoctor } from './doctor.ts';
import { addDrill } from './drill.ts';
import { exitCodes, exitCodesHelp } from './exit-codes.ts';
import { addFailback } from './failback.ts';
import { addFailover } from './failover.ts';
import { addGameDay } from './game-day.ts';
import { addLint } from './lint.ts';
import { addOrders } from './orders.ts';
import { addPlan } from './plan.ts';
import { addReport } from './report.ts';
import { addReprotect } from './reprotect.ts';
import { addServe } from './serve.ts';
import { addStatus } from './status.ts';
import { addStorageNode } from './storage-node.ts';
import { addUpAndDown } from './up.ts';
import { software } from '../worker/software.ts';

const program = new Command('muster')
  .description('Fails services over, brings them home, drills it, and proves what it cost')
  .version(software.replace(/^muster /, ''))
  .showHelpAfterError('(--help shows what there is)')
  .addHelpText('after', exitCodesHelp)
  .exitOverride((err) => process.exit(err.exitCode === 0 ? exitCodes.met : exitCodes.usage));

const add = [
  addUpAndDown,
  addGameDay,
  addStatus,
  addPlan,
  addLint,
  addFailover,
  addFailback,
  addReprotect,
  addDrill,
  addOrders,
  addReport,
  addDoctor,
  addServe,
  addStorageNode,
];
for (const command of add) command(program);
for (const command of program.commands)
  command.exitOverride((err) => process.exit(err.exitCode === 0 ? exitCodes.met : exitCodes.usage));

await program.parseAsync();
