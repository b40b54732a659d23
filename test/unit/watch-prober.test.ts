import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { startProber, type ProbeView, type Prober } from '../../worker/watch/prober.ts';

async function until(what: string, condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function probing(
  look: (signal: AbortSignal) => Promise<void>,
  work: (prober: Prober, changes: ProbeView[]) => Promise<void>,
  options: { limitMs?: number; now?: () => number } = {},
): Promise<void> {
  const changes: ProbeView[] = [];
  const prober = startProber({ everyMs: 10, limitMs: 1000, look, onChange: (view) => changes.push(view), ...options });
  try {
    await work(prober, changes);
  } finally {
    prober.stop();
  }
}

test('prober: it looks at once and again, and tells of a change once', async () => {
  let broken = false;
  const look = async (): Promise<void> => {
    if (broken) throw new Error('refused');
  };
  await probing(look, async (prober, changes) => {
    assert.equal(prober.view().up, true);
    broken = true;
    await until('it failed several times', () => prober.view().failures > 3);
    const view = prober.view();
    assert.deepEqual([view.up, view.why], [false, 'refused']);
    assert.ok(view.downForMs >= view.failedForMs && view.failedForMs > 0);
    broken = false;
    await until('it is up', () => prober.view().up);
    assert.deepEqual(
      changes.map(({ up }) => up),
      [false, true],
    );
  });
});

test('prober: a silent host is down at the deadline of a look, and its looks are told to end', async () => {
  let aborted = 0;
  const silent = (signal: AbortSignal): Promise<void> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        aborted += 1;
        reject(new Error('aborted'));
      });
    });
  await probing(
    silent,
    async (prober) => {
      await until('it is down', () => !prober.view().up && prober.view().failures > 3);
      assert.ok(aborted > 3);
    },
    { limitMs: 30 },
  );
});

test('prober: no more than three looks are out, whatever they do, and a look that ends gives its place free', async () => {
  const out: (() => void)[] = [];
  let most = 0;
  let open = 0;
  const stuck = (): Promise<void> =>
    new Promise((resolve) => {
      most = Math.max(most, ++open);
      out.push(() => {
        open -= 1;
        resolve();
      });
    });
  await probing(
    stuck,
    async (prober) => {
      await until('three are out', () => out.length === 3);
      await until('it is down', () => !prober.view().up);
      await new Promise((resolve) => setTimeout(resolve, 60));
      assert.equal(out.length, 3);
      for (const end of out) end();
      await until('it looks again', () => out.length > 3);
      assert.equal(most, 3);
    },
    { limitMs: 20 },
  );
});

test('prober: a failure that took far longer than its limit tells of the observer, not of the host', async () => {
  let nowMs = 0;
  let fail: () => void = () => {};
  const look = (): Promise<void> => new Promise((_, reject) => (fail = () => reject(new Error('refused'))));
  await probing(
    look,
    async (prober) => {
      nowMs += 5000;
      fail();
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(prober.view().up, true);
      fail();
      await until('a failure in time counts', () => !prober.view().up);
    },
    { limitMs: 1000, now: () => nowMs },
  );
});

test('prober: a look that throws before it returns a promise is a failed look', async () => {
  const look = (): Promise<void> => {
    throw new Error('no such host');
  };
  await probing(look, async (prober) => {
    await until('it is down', () => prober.view().why === 'no such host');
  });
});

test('prober: after it was stopped it looks no more and tells nothing', async () => {
  const look = mock.fn(async () => {});
  const changed = mock.fn();
  const prober = startProber({ everyMs: 5, limitMs: 100, look, onChange: changed });
  prober.stop();
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(look.mock.callCount(), 1);
  assert.equal(changed.mock.callCount(), 0);
});
