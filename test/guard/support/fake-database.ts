import type { GuardedDatabase, HeldLease } from '../../../activities/guard/database.ts';

/** A database in memory whose calls can be made to hang or fail by name. */
export function fakeDatabase(role: 'primary' | 'standby' | 'stopped' = 'primary') {
  const world = {
    role: role as 'primary' | 'standby' | 'stopped' | 'down',
    open: null as HeldLease | null,
    calls: [] as string[],
    failing: new Set<string>(),
    hanging: new Set<string>(),
    release: () => {},
  };
  const released = new Promise<void>((resolve) => (world.release = resolve));
  const call = async (name: string): Promise<void> => {
    world.calls.push(name);
    if (world.hanging.has(name)) await released;
    if (world.failing.has(name)) throw new Error(`${name} does not work`);
  };
  const database: GuardedDatabase = {
    async role() {
      await call('role');
      return world.role;
    },
    async open(lease) {
      await call('open');
      world.open = lease;
    },
    async renew(lease) {
      await call('renew');
      world.open = lease;
    },
    async close() {
      await call('close');
      world.open = null;
      return { finalLsn: '0/3000148' };
    },
    async stop() {
      await call('stop');
      world.open = null;
      world.role = 'stopped';
    },
    async start() {
      await call('start');
      world.role = 'primary';
    },
  };
  return { world, database };
}

/** Waits until something is so; the limit is only there so that a failing test ends. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
