import { type DriveApi, DriveUnavailable, type StageWriter } from '../../../storage-node/store/drive-api.ts';

const refuse = (): Promise<never> => Promise.reject(new DriveUnavailable('this drive does not do that'));

/** A drive that does what it is told here, and nothing else. */
export function scriptedDrive(methods: Partial<DriveApi> = {}): DriveApi {
  return {
    read: refuse,
    prepare: refuse,
    accept: refuse,
    decide() {},
    learn: refuse,
    stage: () => stageWriter(),
    unstage: () => Promise.resolve(),
    readSmall: refuse,
    readBlocks: refuse,
    pin: () => ({ release() {} }),
    checkData: refuse,
    repair: refuse,
    scan: refuse,
    scanDigest: refuse,
    scanPacked: refuse,
    log: refuse,
    raiseFloor: refuse,
    forget: refuse,
    siteState: refuse,
    setSiteState: refuse,
    guardBucket: refuse,
    stat: refuse,
    ...methods,
  };
}

export function stageWriter(methods: Partial<StageWriter> = {}): StageWriter {
  return {
    write: (_block, release) => release(),
    queuedBytes: 0,
    onProgress: undefined,
    finish: () => Promise.resolve(),
    abort() {},
    ...methods,
  };
}

/** The same with every byte array as text, so that a Buffer equals a Uint8Array of the same bytes. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

/** A promise to be settled from outside. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void; fail: (error: Error) => void } {
  let open: (value: T) => void = () => {};
  let fail: (error: Error) => void = () => {};
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}
