interface Readiness {
  sets: { answering: number; size: number }[];
}

/**
 * Waits until every node has found every other one. A node is ready, and takes writes, as soon as three of four are
 * there; a test that then takes one away would take away more than it means to.
 */
export async function allSeen(endpoints: readonly string[], limitMs = 120_000): Promise<void> {
  const endsAt = performance.now() + limitMs;
  for (const endpoint of endpoints) {
    while (!(await seesAll(endpoint))) {
      if (performance.now() > endsAt) throw new Error(`${endpoint} has not found all others within ${limitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function seesAll(endpoint: string): Promise<boolean> {
  const answer = await fetch(`${endpoint}/health/ready`).catch(() => undefined);
  if (answer === undefined) return false;
  const body = (await answer.json().catch(() => undefined)) as Readiness | undefined;
  return answer.status === 200 && body!.sets.every(({ answering, size }) => answering === size);
}
