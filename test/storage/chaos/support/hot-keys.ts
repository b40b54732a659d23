import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { checkHistory } from '../../linearizability/checker.ts';
import { type Action, type Operation, type Outcome } from '../../linearizability/history.ts';

/** Smaller than what travels inside an accept, staged in one stripe, in several. */
const bodySizes = [40, 150_000, 40, 2_200_000];

/** Bytes that can be told from those of every other value, and recognized when they come back. */
export function bodyOf(value: string): Buffer {
  const number = Number(value.slice(value.lastIndexOf('-') + 1));
  const size = bodySizes[number % bodySizes.length]!;
  const line = `${value} ${createHash('sha256').update(value).digest('hex')}\n`;
  return Buffer.alloc(Math.max(size, line.length), line);
}

/** @throws when these bytes were never written as a whole */
export function valueOf(bytes: Buffer): string {
  const value = bytes.subarray(0, bytes.indexOf(' ')).toString();
  assert.ok(bytes.equals(bodyOf(value)), `torn or foreign bytes: ${bytes.subarray(0, 120).toString()}`);
  return value;
}

/** Who asks, and of which key. */
export interface At {
  name: string;
  client: S3Client;
  key: string;
}

/** What one client saw of a key: the name of a value, and how to name it in a condition. */
export interface Seen {
  value: string | undefined;
  etag: string | undefined;
}

/** Operations of many clients on few keys, recorded for the checker of linearizability. */
export class HotKeys {
  readonly operations: Operation[] = [];
  /** Errors other than refused conditions, by client. */
  readonly errors = new Map<string, string[]>();
  /** Answered operations, by client. */
  readonly answered = new Map<string, number>();
  readonly #bucket: string;
  #time = 0;
  #values = 0;

  constructor(bucket: string) {
    this.#bucket = bucket;
  }

  /** A client's turn on a key: sees what it holds, then writes, now and then only if it still holds that. */
  async turn(at: At, i: number): Promise<void> {
    const seen = await this.get(at);
    if (i % 5 === 4) await this.remove(at);
    else await this.put(at, i % 2 === 0 ? undefined : seen);
  }

  async get(at: At): Promise<Seen | undefined> {
    let seen: Seen | undefined;
    await this.#record(at, { kind: 'get' }, async () => {
      try {
        const answer = await at.client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: at.key }));
        const bytes = await answer.Body!.transformToByteArray();
        seen = { value: valueOf(Buffer.from(bytes)), etag: answer.ETag };
      } catch (error) {
        if (!(error instanceof S3ServiceException) || error.name !== 'NoSuchKey') throw error;
        seen = { value: undefined, etag: undefined };
      }
      return { kind: 'ok', value: seen.value };
    });
    return seen;
  }

  /**
   * @param seen the condition: that the key still holds this
   * @param sent how the bytes are sent, when not at once
   */
  put(at: At, seen?: Seen, sent: (bytes: Buffer) => Buffer | Readable = (bytes) => bytes): Promise<void> {
    const value = `${at.name}-${this.#values++}`;
    const condition =
      seen === undefined ? undefined : seen.value === undefined ? { ifNoneMatch: '*' } : { ifMatch: seen.value };
    const headers = seen === undefined ? {} : seen.value === undefined ? { IfNoneMatch: '*' } : { IfMatch: seen.etag };
    const action: Action = condition === undefined ? { kind: 'put', value } : { kind: 'put', value, condition };
    return this.#record(at, action, async () => {
      const bytes = bodyOf(value);
      const put = { Bucket: this.#bucket, Key: at.key, Body: sent(bytes), ContentLength: bytes.length };
      await at.client.send(new PutObjectCommand({ ...put, ...headers }));
      return { kind: 'ok' };
    });
  }

  remove(at: At): Promise<void> {
    return this.#record(at, { kind: 'delete' }, async () => {
      await at.client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: at.key }));
      return { kind: 'ok' };
    });
  }

  /** Fails with the history of a key that did not behave like one object that does one thing at a time. */
  assertLinearizable(): void {
    const report = checkHistory(this.operations);
    assert.equal(report.kind, 'linearizable', 'text' in report ? report.text : '');
  }

  async #record(
    { name, key }: { name: string; key: string },
    action: Action,
    ask: () => Promise<Outcome>,
  ): Promise<void> {
    const unanswered = { kind: 'unknown' as const };
    const one: Operation = { client: name, key, action, outcome: unanswered, calledAt: this.#time++, returnedAt: 0 };
    this.operations.push(one);
    try {
      one.outcome = await ask();
    } catch (error) {
      // Bytes that nobody wrote are no failure of the cluster to answer.
      if (error instanceof assert.AssertionError) throw error;
      if (isRefusal(error, action)) one.outcome = { kind: 'refused' };
      else this.errors.set(name, [...(this.errors.get(name) ?? []), `${action.kind} ${String(error)}`]);
    }
    one.returnedAt = this.#time++;
    if (one.outcome.kind !== 'unknown') this.answered.set(name, (this.answered.get(name) ?? 0) + 1);
  }
}

/** Whether the condition of a write was not met: by another value, or by nothing being there. */
function isRefusal(error: unknown, action: Action): boolean {
  if (
    action.kind === 'get' ||
    action.kind === 'tag' ||
    action.condition === undefined ||
    !(error instanceof S3ServiceException)
  )
    return false;
  return error.$metadata.httpStatusCode === 412 || error.name === 'NoSuchKey';
}
