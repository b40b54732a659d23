/** Where objects are, and by which keys one gets at them: plain data for `structuredClone` and worker threads. */

/**
 * Where the keys come from. `environment`: variables by these names, read anew when a key was refused. `profile`: the
 * files of the `aws` command, read anew when they change. `fixed` holds a secret: never log it, never store it.
 */
export type CredentialSource =
  | { kind: 'environment'; accessKeyId: string; secretAccessKey: string; sessionToken: string }
  | { kind: 'profile'; profile: string; credentialsFile: string; configFile: string }
  | { kind: 'fixed'; credentials: ObjectCredentials };

/** Holds secrets: never log it. */
export interface ObjectCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  /** Asked for anew in time before it, Unix milliseconds. */
  expiresAtMs?: number;
}

/** Gives the keys of the moment. `refused`: the last ones were, so what is remembered must not be given again. */
export type CredentialProvider = (why: { refused: boolean }) => Promise<ObjectCredentials>;

export interface ObjectPlace {
  dialect: 's3' | 'oss';
  bucket: string;
  /** '' or text that keys below this place begin with; ends with '/' where it is not empty. */
  prefix: string;
  /** As it is signed: OSS without `oss-`. */
  region: string;
  /** Scheme, host and port; no path. */
  endpoint: string;
  addressing: 'path' | 'virtual-host';
  credentials: CredentialSource;
  /** PEM file of the authorities to trust instead of the system's. */
  caFile?: string;
  /**
   * Whether the SHA-256 of a body that is bytes is signed along. Default: over http yes, over https no, where the
   * connection protects it. A stream is signed only where its SHA-256 is known beforehand. OSS never signs bodies.
   */
  signPayload?: boolean;
  limits?: ObjectLimits;
}

/** All optional; the defaults stand in `limits.ts`. */
export interface ObjectLimits {
  /** Connections at once, and so requests under way. */
  connections?: number;
  connectMs?: number;
  /** From the last byte sent to the first of the answer. */
  answerMs?: number;
  /** A body that does not move for so long, in either direction, is given up. */
  stallMs?: number;
  /** Tries of one call, the first included. */
  tries?: number;
  /** For one call with its tries and pauses, without the time of its body. */
  deadlineMs?: number;
}
