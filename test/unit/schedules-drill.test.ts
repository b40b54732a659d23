import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driverCatalogue } from '../../activities/drivers/index.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import type { readServiceState, ServiceState } from '../../worker/service-state.ts';
import { planDrill } from '../../worker/schedules/plan-drill.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { readRunbooksFile } from '../support/estates.ts';

const estate = parseEstate(readRunbooksFile('library/postgres-pair.yaml'), 'muster.yaml', driverCatalogue);
const drill = { scheduleId: 'drill/orders-db/isolated', service: 'orders-db', kind: 'isolated' } as const;

function seeing(state: Partial<ServiceState>): typeof readServiceState {
  return async () => ({ service: 'orders-db', holder: 'east', epoch: 4, answers: {}, silent: {}, ...state });
}

test('a drill is planned against the present, by the schedule, under the epoch that comes next', async () => {
  const planned = await planDrill(estate, drill, seeing({}));
  assert.ok(planned.kind === 'planned');
  const { runId, plans, startedBy, labels } = planned.input;
  assert.match(runId, /^drill-orders-db-\d{8}-\d{6}-[0-9a-f]{4}$/);
  assert.deepEqual(
    plans.map(({ kind, from, to, drill: isDrill, epoch }) => [kind, from, to, isDrill, epoch]),
    [['drill', 'east', 'west', true, 5]],
  );
  assert.deepEqual([startedBy, labels.chainId, labels.scenario], ['schedule', null, null]);
  assert.match(labels.estateHash, /^[0-9a-f]{64}$/);
  assert.equal(planned.summary, 'drill of orders-db, east → west, by its schedule');
});

test('a live drill has two plans, there and back', async () => {
  const planned = await planDrill(estate, { ...drill, kind: 'live' }, seeing({}));
  assert.ok(planned.kind === 'planned');
  assert.deepEqual(
    planned.input.plans.map(({ from, to }) => `${from} to ${to}`),
    ['east to west', 'west to east'],
  );
});

const refusals: { name: string; state: Partial<ServiceState>; why: RegExp }[] = [
  {
    name: 'a site does not answer',
    state: { silent: { west: 'connect ECONNREFUSED' } },
    why: /^west does not answer: connect/,
  },
  { name: 'the service is not at home', state: { holder: 'west' }, why: /^west writes, not east: fail back first$/ },
];

for (const { name, state, why } of refusals)
  test(`no drill is held when ${name}`, async () => {
    const planned = await planDrill(estate, drill, seeing(state));
    assert.match(planned.kind === 'refused' ? planned.why : planned.kind, why);
  });

test('a service that the estate does not know is an error that names those it does', async () => {
  await assert.rejects(
    planDrill(estate, { ...drill, service: 'shop' }, seeing({})),
    (err) => err instanceof MusterError && err.code === 'SERVICE_UNKNOWN' && /orders-db/.test(err.message),
  );
});
