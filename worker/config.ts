import { z } from 'zod';
import { MusterError } from '../workflows/engine/errors.ts';

const listenAddress = z.string().regex(/^[^:]+:\d+$/, 'write it as host:port');

const common = {
  MUSTER_ESTATE: z.string().min(1).default('muster.yaml'),
  MUSTER_HOME: z.string().min(1).default('.muster'),
  MUSTER_AGENT_TOKEN: z.string().min(16, 'at least 16 characters'),
  TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233'),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  MUSTER_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
};

const workerSchema = z.object({
  ...common,
  MUSTER_LEDGER_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  MUSTER_LISTEN: listenAddress.default('127.0.0.1:7810'),
  /** Name of the game day this control plane is part of; runs that the watch starts carry it. */
  MUSTER_SCENARIO: z.string().optional(),
});

const agentSchema = z.object({
  ...common,
  MUSTER_SITE: z.string().min(1),
  MUSTER_LISTEN: listenAddress.default('127.0.0.1:7811'),
});

export type WorkerConfig = Readonly<z.infer<typeof workerSchema>>;
export type AgentConfig = Readonly<z.infer<typeof agentSchema>>;

type Env = Record<string, string | undefined>;

/** @throws MusterError CONFIG_INVALID naming every bad variable at once, never its value. */
export function loadWorkerConfig(env: Env): WorkerConfig {
  return read(workerSchema, env);
}

/** @throws MusterError CONFIG_INVALID naming every bad variable at once, never its value. */
export function loadAgentConfig(env: Env): AgentConfig {
  return read(agentSchema, env);
}

function read<T>(schema: z.ZodType<T>, env: Env): Readonly<T> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return Object.freeze(parsed.data);
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new MusterError('CONFIG_INVALID', problems.join('; '));
}

/** Splits `host:port`. */
export function hostAndPort(listen: string): { host: string; port: number } {
  const at = listen.lastIndexOf(':');
  return { host: listen.slice(0, at), port: Number(listen.slice(at + 1)) };
}
