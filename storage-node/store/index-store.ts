/** The ordered index of a drive. Keys and values are bytes; tables are apart from each other. */
export type Table = 'registers' | 'data' | 'log' | 'meta';
export const tables: readonly Table[] = ['registers', 'data', 'log', 'meta'];

export interface IndexWrite {
  table: Table;
  key: Uint8Array;
  /** Undefined removes the row. Must not be changed afterwards. */
  value: Uint8Array | undefined;
}

export interface IndexRange {
  table: Table;
  /** Inclusive. */
  from: Uint8Array;
  /** Exclusive; undefined: to the last. */
  to?: Uint8Array | undefined;
}

export interface IndexStore {
  /** As of the last write that resolved (or a later one that is durable). The caller's own copy. */
  get(table: Table, key: Uint8Array): Buffer | undefined;
  /**
   * Shows rows in key order until `visit` answers false. The bytes are lent for the time of the call only, and the call
   * must not use the index.
   */
  each(range: IndexRange, visit: (key: Buffer, value: Buffer) => boolean): void;
  /** All or nothing, and durable when it resolves. Writes of several callers share a sync (and may share the promise). */
  write(writes: readonly IndexWrite[]): Promise<void>;
  count(table: Table): number;
  sizeBytes(): number;
  close(): Promise<void>;
}
