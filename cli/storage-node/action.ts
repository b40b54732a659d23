import { exitCodes } from '../exit-codes.ts';

/** As `loneAction`; what goes wrong is told in the words of the storage cluster, which knows no codes of errors. */
export function storageAction<Options>(
  load: () => Promise<(options: Options) => Promise<void>>,
): (options: Options) => Promise<void> {
  return async (options) => {
    try {
      await (
        await load()
      )(options);
    } catch (error) {
      fail(error);
    }
  };
}

/** Says what went wrong; nothing was started. */
export function fail(error: unknown): void {
  process.stderr.write(`muster storage-node: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = exitCodes.usage;
}
