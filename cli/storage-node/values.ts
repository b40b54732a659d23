/** What options of `muster storage-node` hold, read and checked. What is wrong is thrown, naming the option. */
import { X509Certificate } from 'node:crypto';
import { readText } from '../../storage-node/text-file.ts';

export function whole(flag: string, text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most) throw new Error(`${flag} must be a whole number from 1 to ${most}, not "${text}"`);
  return value;
}

/** @param parse throws for what is no such PEM; its message would name neither the flag nor the file */
export function readPem(flag: string, file: string, parse: (pem: string) => unknown): string {
  const text = readNamed(flag, file);
  try {
    parse(text);
    return text;
  } catch {
    throw new Error(`${flag} names ${file}, which does not hold what it should in PEM (-----BEGIN …)`);
  }
}

export const parseCertificate = (pem: string): X509Certificate => new X509Certificate(pem);

export function readNamed(flag: string, file: string): string {
  const read = readText(file);
  if ('text' in read) return read.text;
  throw new Error(`${flag} names ${file}, which ${read.why}`);
}
