import { xmlHead, xmlTail } from './xml.ts';
import { type Answer } from '../operation.ts';

/** Rows are turned into bytes this many at a time. */
const rowsAtOnce = 64;

/**
 * A document with many rows. A long text that was put together from pieces is taken apart again piece by piece to be
 * sent, from memory that has long left the cache: turning it into bytes a few rows at a time takes a third of the time
 * (a page of 1,000 keys: 0.5 ms for 1.3 ms).
 */
export interface XmlRows {
  add(row: string): void;
}

/** An answer like that of `xmlAnswer`. `expectedBytes`: about what the rows will take. */
export function xmlRowsAnswer(root: string, expectedBytes: number, write: (out: XmlRows) => void): Answer {
  let bytes = Buffer.allocUnsafe(expectedBytes + 1024);
  let at = 0;
  let pending = xmlHead(root);
  let rows = 0;
  const flush = (): void => {
    const most = pending.length * 3;
    if (at + most > bytes.length) bytes = Buffer.concat([bytes.subarray(0, at)], (at + most) * 2);
    at += bytes.write(pending, at);
    pending = '';
    rows = 0;
  };
  write({
    add(row) {
      pending += row;
      rows += 1;
      if (rows === rowsAtOnce) flush();
    },
  });
  pending += xmlTail(root);
  flush();
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: bytes.subarray(0, at) };
}
