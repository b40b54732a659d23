export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}
