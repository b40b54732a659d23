import { type Mock, mock } from 'node:test';
import { Command } from 'commander';
import { addStorageNode } from '../../../cli/commands/storage-node.ts';

/**
 * Runs `muster storage-node ...` in this process. `out` may also hold what the runner of the tests wrote meanwhile, for
 * it has the same standard output.
 */
export async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const out = mock.method(process.stdout, 'write');
  const err = mock.method(process.stderr, 'write', () => true);
  const said = (stream: Mock<typeof process.stdout.write>): string =>
    stream.mock.calls.map((call) => String(call.arguments[0])).join('');
  try {
    const program = new Command('muster').exitOverride();
    addStorageNode(program);
    await program.parseAsync(['storage-node', ...args], { from: 'user' });
    return { code: Number(process.exitCode ?? 0), out: said(out), err: said(err) };
  } finally {
    out.mock.restore();
    err.mock.restore();
    process.exitCode = 0;
  }
}
