import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEstate } from '../../runbooks/estate.ts';
import { compileProtection } from '../../runbooks/protection.ts';
import { aimAtWriter } from '../../worker/aim.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';

const vaults = {
  vault: { repository: '/backup/vault', password: 'env:P', site: 'hangzhou', copyTo: 'far' },
  far: { repository: '/backup/far', password: 'env:P', site: 'beijing' },
  alone: { repository: '/backup/alone', password: 'env:P', site: 'hangzhou' },
};
const backups = ['vault', 'alone'].map((to) => ({ resource: 'orders', every: '6h', to }));
const estate = parseEstate(estateText({ backups }, vaults), 'muster.yaml', testCatalogue);
const [copied, alone] = compileProtection(estate).backups.map(({ order }) => order);

const cases: { name: string; writer: string | null; shut: string[]; order?: typeof copied | undefined; aim: RegExp }[] =
  [
    { name: 'at home, its vault is not even asked', writer: 'hangzhou', shut: ['vault'], aim: /^hangzhou into vault$/ },
    { name: 'while nobody knows who writes, as ordered', writer: null, shut: ['vault'], aim: /^hangzhou into vault$/ },
    { name: 'away, its vault answers', writer: 'beijing', shut: [], aim: /^beijing into vault$/ },
    { name: 'away, its copy takes its place', writer: 'beijing', shut: ['vault'], aim: /^beijing into far for vault$/ },
    {
      name: 'away, neither answers',
      ...{ writer: 'beijing', shut: ['vault', 'far'] },
      aim: /^service shop writes at beijing, and no vault of its backups answers: vault: shut; far: shut$/,
    },
    {
      name: 'away, and there is no copy',
      ...{ writer: 'beijing', shut: ['alone'], order: alone },
      aim: /service shop .* alone: shut; vault alone has no copy \(`copyTo`\)$/,
    },
  ];

for (const { name, writer, shut, order = copied, aim } of cases)
  test(`${name}: ${String(aim)}`, async () => {
    assert.ok(order !== undefined);
    const whyShut = async (vault: { name: string }): Promise<string | null> =>
      shut.includes(vault.name) ? 'shut' : null;
    const found = await aimAtWriter({ estate, writerOf: () => writer, whyShut }, order);
    const text =
      found.kind === 'no-vault'
        ? found.why
        : `${found.site} into ${found.vault.name}${found.insteadOf === null ? '' : ` for ${found.insteadOf}`}`;
    assert.match(text, aim);
  });

test('a vault that is not there does not answer, and says why', async () => {
  assert.ok(alone !== undefined);
  process.env['P'] = 'a password';
  const found = await aimAtWriter({ estate, writerOf: () => 'beijing' }, alone);
  assert.equal(found.kind, 'no-vault');
  assert.match(found.kind === 'no-vault' ? found.why : '', /\/backup\/alone/);
});
