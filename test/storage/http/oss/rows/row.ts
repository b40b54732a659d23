import { type Sendable } from '../../signing.ts';

/** One call in the life of a bucket, and its answer. Rows follow each other: later ones find what earlier ones left. */
export interface Row {
  name: string;
  /** The operation it is; else what it is refused as. */
  is: string;
  ask: Partial<Sendable> & { body?: string };
  status: number;
  /** Headers that must be there so; undefined: that must not be there. */
  headers?: Record<string, string | undefined>;
  /** What the document says, without blanks. */
  says?: (string | RegExp)[];
  not?: RegExp;
  find?: Record<string, RegExp>;
}
