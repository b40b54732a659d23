import { writeFileSync } from 'node:fs';
import path from 'node:path';

const site =
  '{ endpoints: env:TEST_RECEIPTS_URLS, accessKey: env:TEST_RECEIPTS_USER, secretKey: env:TEST_RECEIPTS_PASSWORD }';
const receipts = `      receipts:
        driver: bucket
        bucket: receipts
        replication: none
        hangzhou: ${site}
        beijing: ${site}
`;

const references = `        references:
          - bucket: receipts
            sql: SELECT what FROM orders WHERE what LIKE '%.json';
`;

/** An estate whose database is that of the test's world; references are in the world's environment. */
export function writeEstate(dir: string, { withReceipts = false } = {}): string {
  const file = path.join(dir, 'muster.yaml');
  writeFileSync(
    file,
    `version: 1
control: { url: env:MUSTER_CONTROL_URL, token: env:MUSTER_AGENT_TOKEN }
sites:
  hangzhou: { agent: env:MUSTER_HANGZHOU_AGENT_URL }
  beijing: { agent: env:MUSTER_BEIJING_AGENT_URL }
vaults:
  vault: { repository: ${path.join(dir, 'vault')}, password: env:TEST_VAULT_PASSWORD }
services:
  shop:
    primary: hangzhou
    standby: beijing
    objectives: { rpoSeconds: 30, rtoSeconds: 120 }
    resources:
      orders:
        driver: postgres
        tables: [orders]
        hangzhou: { url: env:TEST_ORDERS_URL, dataDir: /nowhere }
        beijing: { url: env:TEST_ORDERS_URL, dataDir: /nowhere }
${withReceipts ? receipts : ''}    backups:
${withReceipts ? '      - { resource: receipts, every: daily, keep: { last: 2 }, to: vault }\n' : ''}      - resource: orders
        every: 6h
        keep: { last: 2 }
        to: vault
${withReceipts ? references : ''}        restoreTest:
          every: weekly
          checks: { rows: [{ database: ledger_2, table: orders, min: 20000 }] }
`,
  );
  return file;
}
