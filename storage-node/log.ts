/** Log lines as JSON, one a line, on standard error. No field of ours ever holds a secret; errors are cut to what tells. */
export interface Log {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

const levels = { info: 30, warn: 40, error: 50 } as const;
const thresholds: Record<string, number> = { trace: 0, debug: 0, info: 30, warn: 40, error: 50, silent: 100 };

/** Pino's line format, in a few lines: a node logs seldom, and its memory matters. */
export function createLog(
  level: string,
  node: string,
  write = (line: string): unknown => process.stderr.write(line),
): Log {
  const threshold = thresholds[level] ?? 30;
  const at =
    (name: keyof typeof levels) =>
    (fields: Record<string, unknown>, message: string): void => {
      if (levels[name] < threshold) return;
      const { err, ...others } = fields;
      const error = err === undefined ? {} : { err: describe(err) };
      write(`${JSON.stringify({ level: levels[name], time: Date.now(), node, ...others, ...error, msg: message })}\n`);
    };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

function describe(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const { name, message, stack, cause } = error;
  return { type: name, message, stack, ...(cause === undefined ? {} : { cause: describe(cause) }) };
}
