import { type Ballot } from '../../../storage-node/consensus/ballot.ts';
import {
  type DriveApi,
  type IndexKey,
  type PreparedRegister,
  type ReadReply,
} from '../../../storage-node/store/drive-api.ts';
import { type Kind } from './kinds.ts';
import { type RunOptions } from './run.ts';

/** A drive with one thing wrong. A simulation that does not find every one of them proves nothing. */
export interface WrongDrive {
  name: string;
  /** The world it is looked for in. */
  kind: Kind;
  options?: RunOptions;
  wrap: (drive: DriveApi) => DriveApi;
}

const textOf = (key: IndexKey): string => Buffer.from(key).toString('latin1');

/** What a drive has, without asking it for a promise: no ballot is smaller than this one. */
async function heldBy(drive: DriveApi, key: IndexKey): Promise<PreparedRegister> {
  const { register } = await drive.prepare({ key, ballot: 0 });
  return register;
}

export const wrongDrives: readonly WrongDrive[] = [
  {
    name: 'says of every value that it was decided',
    kind: 'registers',
    wrap: (drive) => ({
      ...drive,
      read: async (request, options) => ({ ...(await drive.read(request, options)), decided: true }),
      async prepare(request, options) {
        const reply = await drive.prepare(request, options);
        return { ...reply, register: { ...reply.register, decided: reply.register.ballot > 0 } };
      },
    }),
  },
  {
    name: 'acknowledges what is not written yet',
    kind: 'registers',
    wrap: (drive) => {
      // Held in this life's memory only; the next accept, whatever its key, takes it along.
      const unwritten: (() => Promise<unknown>)[] = [];
      return {
        ...drive,
        async accept(request, options) {
          for (const write of unwritten.splice(0)) await write();
          unwritten.push(() => drive.accept(request, options));
          return { kind: 'accepted' };
        },
      };
    },
  },
  {
    name: 'keeps no promise',
    kind: 'registers',
    wrap: (drive) => ({
      ...drive,
      async prepare({ key }) {
        const held = await heldBy(drive, key);
        return { kind: 'promised', register: held };
      },
    }),
  },
  {
    name: 'forgets its promises when it restarts',
    kind: 'registers',
    options: { faultNames: ['crash', 'slowLinks', 'lossyWrites'], faults: 25, straggling: 0.3, operations: 80 },
    wrap: (drive) => {
      const promises = new Map<string, Ballot>();
      return {
        ...drive,
        async prepare({ key, ballot }) {
          const register = await heldBy(drive, key);
          const promised = Math.max(promises.get(textOf(key)) ?? 0, register.ballot);
          if (ballot <= promised) return { kind: 'outbid', promised, register };
          promises.set(textOf(key), ballot);
          return { kind: 'promised', register };
        },
        async accept(request, options) {
          const promised = promises.get(textOf(request.key)) ?? 0;
          if (request.ballot < promised) return { kind: 'outbid', promised };
          return drive.accept(request, options);
        },
      };
    },
  },
  {
    name: 'takes a mark for one value as a mark for another',
    kind: 'registers',
    options: { faultNames: ['lossyWrites'], faults: 12, straggling: 0.15 },
    wrap: (drive) => ({
      ...drive,
      decide(requests) {
        for (const { key } of requests) {
          drive.read({ key, withHead: false }).then(
            ({ ballot }) => drive.decide([{ key, ballot }]),
            () => {},
          );
        }
      },
    }),
  },
  {
    name: 'takes what it accepted as decided, and frees what came before',
    kind: 'registers',
    wrap: (drive) => ({
      ...drive,
      async accept(request, options) {
        const reply = await drive.accept(request, options);
        if (reply.kind === 'accepted') drive.decide([{ key: request.key, ballot: request.ballot }]);
        return reply;
      },
    }),
  },
  {
    name: 'drops tombstones as soon as it has them',
    kind: 'registers',
    wrap: (drive) => ({
      ...drive,
      async accept(request, options) {
        const reply = await drive.accept(request, options);
        if (reply.kind === 'accepted' && request.tombstone) {
          await drive.forget({ key: request.key, ballot: request.ballot });
        }
        return reply;
      },
    }),
  },
  {
    name: 'says accepted when it was outbid',
    kind: 'registers',
    wrap: (drive) => ({
      ...drive,
      async accept(request, options) {
        const reply = await drive.accept(request, options);
        return reply.kind === 'outbid' ? { kind: 'accepted' } : reply;
      },
    }),
  },
  {
    name: 'answers reads from a memory that it does not keep up to date',
    kind: 'registers',
    wrap: (drive) => {
      const remembered = new Map<string, { reply: ReadReply; uses: number }>();
      return {
        ...drive,
        async read(request, options) {
          const known = remembered.get(textOf(request.key));
          if (known !== undefined && known.uses++ < 3) return known.reply;
          const reply = await drive.read(request, options);
          remembered.set(textOf(request.key), { reply, uses: 0 });
          return reply;
        },
      };
    },
  },
  {
    name: 'does not write the shards it is given',
    kind: 'registers',
    wrap: (drive) => ({
      ...drive,
      accept: (request, options) => drive.accept({ ...request, puts: [] }, options),
    }),
  },
];
