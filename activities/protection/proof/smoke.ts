import { setTimeout as sleep } from 'node:timers/promises';
import type { ProofChecks, ProofFinding } from '../../../workflows/engine/protection.ts';
import { failed, passed } from './finding.ts';
import type { Place } from './place.ts';
import { startProgram, substituted, type Program, type Whereabouts } from './program.ts';

type HttpCheck = NonNullable<ProofChecks['http']>[number];

export interface SmokeOptions {
  checks: Pick<ProofChecks, 'start' | 'http'>;
  place: Place;
  where: Whereabouts;
  signal: AbortSignal;
  onProgress(asked: number): void;
  /** How long the program may take until it answers, milliseconds; default 2 minutes. */
  comeUpMs?: number;
}

const retryMs = 50;
const answerMs = 10_000;
const readBytes = 1 << 20;

/** Brings the user's program up beside the restored copy, asks what is to be asked, and ends it. */
export async function smokeFindings(options: SmokeOptions): Promise<ProofFinding[]> {
  const { checks, place, where, signal, onProgress } = options;
  if (checks.http === undefined || checks.http.length === 0) return [];
  const program = checks.start === undefined ? null : await startProgram(checks.start, place, where);
  try {
    const findings: ProofFinding[] = [];
    const endsAt = performance.now() + (options.comeUpMs ?? 120_000);
    for (const check of checks.http) {
      findings.push(await ask(check, { program, where, signal, endsAt: program === null ? 0 : endsAt }));
      onProgress(findings.length);
    }
    return findings;
  } finally {
    await program?.end();
  }
}

interface Asking {
  program: Program | null;
  where: Whereabouts;
  signal: AbortSignal;
  /** Until then nobody answering may mean that it is still coming up. */
  endsAt: number;
}

async function ask(check: HttpCheck, { program, where, signal, endsAt }: Asking): Promise<ProofFinding> {
  const url = substituted(check.url, where);
  const about = { check: 'http', subject: check.url };
  for (;;) {
    const answer = await answerOf(url, signal);
    signal.throwIfAborted();
    if (answer.kind === 'answered') return judge(check, answer);
    if (program?.hasEnded() === true) {
      const { exitCode, why } = await program.ended;
      const how = why ?? `it ended with exit code ${exitCode}`;
      return failed({ ...about, detail: `the program does not run: ${how}; ${program.lastWords()}` });
    }
    if (performance.now() > endsAt) {
      const words = program === null ? '' : `; the program said: ${program.lastWords()}`;
      return failed({ ...about, detail: `no answer: ${answer.why}${words}` });
    }
    await sleep(retryMs, undefined, { signal });
  }
}

type Answer = { kind: 'answered'; status: number; text: string } | { kind: 'none'; why: string };

async function answerOf(url: string, signal: AbortSignal): Promise<Answer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
  try {
    const response = await fetch(url, { redirect: 'manual', signal: limit });
    return { kind: 'answered', status: response.status, text: await beginningOf(response) };
  } catch (err) {
    const cause = err instanceof Error && err.cause instanceof Error ? err.cause : err;
    return { kind: 'none', why: cause instanceof Error ? cause.message || cause.name : String(cause) };
  }
}

async function beginningOf(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= readBytes) break;
  }
  return Buffer.concat(pieces).toString();
}

function judge(check: HttpCheck, { status, text }: { status: number; text: string }): ProofFinding {
  const about = { check: 'http', subject: check.url };
  const wanted = check.status ?? 200;
  if (status !== wanted) return failed({ ...about, detail: `status ${status}, expected ${wanted}` });
  const { contains } = check;
  if (contains !== undefined && !text.includes(contains)) {
    return failed({
      ...about,
      detail: `status ${status}, but the answer does not contain ${JSON.stringify(contains)}`,
    });
  }
  return passed({
    ...about,
    detail: `status ${status}${contains === undefined ? '' : ', with what it had to contain'}`,
  });
}
