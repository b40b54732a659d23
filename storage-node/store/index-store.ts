/** The ordered index of a drive. Keys and values are bytes; tables are apart from each other. */
export type Table = 'registers' | 'data' | 'log' | 'meta';

export interface IndexWrite {
  table: Table;
  key: Uint8Array;
  /** Undefined removes the row. */
  value: Uint8Array | undefined;
}

export interface IndexRow {
  key: Uint8Array;
  value: Uint8Array;
}

export interface IndexStore {
  /** As of the last write that resolved (or a later one). The bytes must not be changed. */
  get(table: Table, key: Uint8Array): Uint8Array | undefined;
  /** Rows in key order, from (inclusive) to (exclusive), read as they are taken; must be used up in one turn. */
  range(table: Table, from: Uint8Array, to: Uint8Array | undefined): Iterable<IndexRow>;
  /** All or nothing, and durable when it resolves. Writes of several callers share a sync. */
  write(writes: readonly IndexWrite[]): Promise<void>;
  count(table: Table): number;
  sizeBytes(): number;
  close(): Promise<void>;
}
