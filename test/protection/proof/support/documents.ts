/** Backups of a directory of documents, to be damaged in every way. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { backup } from '../../../../activities/backup/engine/backup.ts';
import { hostOf, pointOf, tagsOf } from '../../../../activities/protection/points.ts';
import type { PlanResource } from '../../../../workflows/engine/plan.ts';
import type { RecoveryPoint, RestoreProof } from '../../../../workflows/engine/protection.ts';
import { attempt, createWorld, service, site, type Attempt, type World } from './world.ts';

export const resource: PlanResource = { name: 'documents', driver: 'directory', shared: {}, sites: { [site]: {} } };
export const documents = Array.from({ length: 24 }, (_, i) => `folder-${i % 3}/document-${i}.txt`);

/** A world with a directory of documents. */
export interface Documents {
  world: World;
  source(...names: string[]): string;
  write(name: string, content: string | Buffer): void;
  /** As it was at the beginning. */
  writeAll(): void;
  save(of?: { resource: string }): Promise<RecoveryPoint>;
  tested(point: RecoveryPoint, more?: Partial<Attempt>): Promise<RestoreProof>;
}

export async function createDocuments(name: string): Promise<Documents> {
  const world = await createWorld(name);
  const source = (...names: string[]): string => world.at('source', ...names);
  const write = (file: string, content: string | Buffer): void => {
    mkdirSync(path.dirname(source(file)), { recursive: true });
    writeFileSync(source(file), content);
  };
  const writeAll = (): void => {
    rmSync(source(), { recursive: true, force: true });
    for (const [i, file] of documents.entries()) write(file, textOf(i));
    write('folder-0/picture.jpg', Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(40_000)]));
    write('index.html', '<h1>Documents</h1>');
  };
  writeAll();
  return {
    ...{ world, source, write, writeAll },
    save: (of = { resource: resource.name }) => save(world, source(), of.resource),
    tested: (point, more = {}) => attempt({ world, resource, point, ...more }),
  };
}

export function textOf(number: number): string {
  return Array.from({ length: 400 }, (_, line) => `document ${number}, line ${line}: all is well`).join('\n');
}

/** As the activity would save it, if it saved directories of this machine. */
async function save({ repository }: World, directory: string, name: string): Promise<RecoveryPoint> {
  const whose = { service, resource: name };
  const startedAtMs = Date.now();
  const { snapshot } = await backup({
    ...{ repository, paths: [directory], threads: 1, xattrs: false },
    ...{ host: hostOf(whose), tags: tagsOf(whose), time: new Date(startedAtMs) },
    about: ({ counts }) => ({
      ...{ version: 1, runId: 'save', ...whose, kind: 'directory', site, status: 'complete' },
      ...{ startedAtMs, takenAtMs: startedAtMs, endedAtMs: Date.now(), sizeBytes: counts.bytesDone, addedBytes: 0 },
      ...{ files: counts.filesNew + counts.filesChanged + counts.filesUnmodified, facts: {} },
      ...{ problems: [], problemCount: 0 },
    }),
  });
  return pointOf('vault', snapshot) as RecoveryPoint;
}
