import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';

export interface EvidenceFile {
  file: string;
  /** Hex, of the file. */
  sha256: string;
}

/** Lines of JSON in a file that gets its name when it is complete and on disk. */
export interface EvidenceWriter {
  write(line: unknown): Promise<void>;
  finish(): Promise<EvidenceFile>;
}

/** Below the home of the process, where reports fetch it. */
export async function openEvidence(home: string, name: string): Promise<EvidenceWriter> {
  const file = path.join(home, 'evidence', name);
  await mkdir(path.dirname(file), { recursive: true });
  const stream: WriteStream = createWriteStream(`${file}.partial`, { mode: 0o600, flush: true });
  await once(stream, 'open');
  const hash = createHash('sha256');
  return {
    async write(line) {
      const text = `${JSON.stringify(line)}\n`;
      hash.update(text);
      if (!stream.write(text)) await once(stream, 'drain');
    },
    async finish() {
      stream.end();
      await once(stream, 'close');
      await rename(`${file}.partial`, file);
      return { file, sha256: hash.digest('hex') };
    },
  };
}

export async function writeEvidence(home: string, name: string, lines: Iterable<unknown>): Promise<EvidenceFile> {
  const writer = await openEvidence(home, name);
  for (const line of lines) await writer.write(line);
  return writer.finish();
}
