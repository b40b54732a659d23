import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import { type ObjectCredentials } from '../place.ts';

/** The words in which AWS's version 4 and OSS's differ. */
export interface SignatureFamily {
  algorithm: string;
  /** Stands before the secret in the first key. */
  seed: string;
  service: string;
  terminator: string;
}

export const awsFamily: SignatureFamily = {
  ...{ algorithm: 'AWS4-HMAC-SHA256', seed: 'AWS4', service: 's3', terminator: 'aws4_request' },
};
export const ossFamily: SignatureFamily = {
  ...{ algorithm: 'OSS4-HMAC-SHA256', seed: 'aliyun_v4', service: 'oss', terminator: 'aliyun_v4_request' },
};

/** SHA-256 as hex. */
export function sha256(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex');
}

export const emptySha256 = sha256('');
export const unsignedPayload = 'UNSIGNED-PAYLOAD';

let stampedSecond = -1;
let stamp = '';

/** `YYYYMMDDTHHMMSSZ`; made once a second. */
export function stampOf(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== stampedSecond) {
    stamp = new Date(second * 1000).toISOString().replace(/[-:]|\.\d+/g, '');
    stampedSecond = second;
  }
  return stamp;
}

/** Signs for one place: keeps the key of the day. */
export interface Signer {
  /** The value of `Credential=` and the signature of a canonical request, hex. */
  sign(credentials: ObjectCredentials, stamp: string, canonical: string): { credential: string; signature: string };
}

export function createSigner(family: SignatureFamily, region: string): Signer {
  let day = '';
  let secret = '';
  // As a key object: from bytes a new one is made each time, which takes six times as long as using it.
  let key: KeyObject | undefined;
  let scope = '';
  return {
    sign({ accessKeyId, secretAccessKey }, stampNow, canonical) {
      const today = stampNow.slice(0, 8);
      if (key === undefined || today !== day || secretAccessKey !== secret) {
        day = today;
        secret = secretAccessKey;
        scope = `${today}/${region}/${family.service}/${family.terminator}`;
        const bytes = [today, region, family.service, family.terminator].reduce<Buffer>(
          (before, step) => createHmac('sha256', before).update(step).digest(),
          Buffer.from(family.seed + secret),
        );
        key = createSecretKey(bytes);
      }
      const text = `${family.algorithm}\n${stampNow}\n${scope}\n${sha256(canonical)}`;
      return {
        credential: `${accessKeyId}/${scope}`,
        signature: createHmac('sha256', key).update(text).digest('hex'),
      };
    },
  };
}
