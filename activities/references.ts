import { readFileSync } from 'node:fs';
import { MusterError } from '../workflows/engine/errors.ts';

/**
 * The value that a string of the estate stands for, as this process sees it: `env:NAME` reads the environment,
 * `file:/path` a file (surrounding white space removed), anything else is its own value.
 * Throws SECRET_MISSING naming the reference, never the value.
 */
export function resolveReference(value: string, env: NodeJS.ProcessEnv = process.env): string {
  if (value.startsWith('env:')) return fromEnvironment(value, env);
  if (value.startsWith('file:')) return fromFile(value);
  return value;
}

function fromEnvironment(reference: string, env: NodeJS.ProcessEnv): string {
  const value = env[reference.slice('env:'.length)];
  if (value === undefined || value === '') throw missing(reference, 'the environment variable is not set');
  return value;
}

function fromFile(reference: string): string {
  let value: string;
  try {
    value = readFileSync(reference.slice('file:'.length), 'utf8').trim();
  } catch (err) {
    throw missing(reference, `the file cannot be read (${errorCode(err)})`);
  }
  if (value === '') throw missing(reference, 'the file is empty');
  return value;
}

function missing(reference: string, why: string): MusterError {
  return new MusterError('SECRET_MISSING', `${reference}: ${why}`);
}

function errorCode(err: unknown): string {
  return err instanceof Error && 'code' in err ? String(err.code) : 'unreadable';
}
