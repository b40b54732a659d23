import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { chromium, type Browser } from 'playwright-core';
import { buildReport } from '../../console/report/build.ts';
import { html, render } from '../../console/report/markup.ts';
import type { Report } from '../../console/report/model.ts';
import { renderHtml } from '../../console/report/render-html.ts';
import { clockNames } from '../../workflows/engine/plan.ts';
import { sampleInput } from './sample.ts';

const sample = sampleInput();
const report = buildReport(sample);
const bait = `"'><script>globalThis.pwned=1</script><img src="http://127.0.0.1:9/x" onerror="globalThis.pwned=1">&lt;</style>\u0000\ud800`;

/** Values that the page decides by; everything else may hold anything. */
const decisive = new Set([
  'verdict',
  'kind',
  'status',
  'effect',
  'basis',
  'confidence',
  'mode',
  'plannedMode',
  'outcome',
  'protection',
  'severity',
  'schemaVersion',
  'clock',
]);

/** The report with the bait in every free text of it. */
function hostile<T>(value: T, key = ''): T {
  if (typeof value === 'string') {
    const fixed =
      decisive.has(key) ||
      /^(rto|rpo|t\d+|clients|conflict-set)$/.test(value) ||
      (clockNames as readonly string[]).includes(value);
    return (fixed ? value : `${value}${bait}`) as T;
  }
  if (Array.isArray(value)) return value.map((item: unknown) => hostile(item, key)) as T;
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([field, item]) => [
    key === 'acked' ? `${field}${bait}` : field,
    hostile(item, field),
  ]);
  return Object.fromEntries(entries) as T;
}

test('text becomes text in a page, whatever it holds', () => {
  const property = fc.property(fc.string({ unit: 'binary' }), (text) => {
    const written = render(html`<p title="${text}">${text}</p>`);
    const [, title, body] = /^<p title="([^"<>]*)">([^"<>]*)<\/p>$/su.exec(written) ?? [];
    assert.equal(title, body);
    assert.equal(/&(?!(amp|lt|gt|quot|#39);)/.test(body ?? '&'), false);
  });
  fc.assert(property, { numRuns: 500 });
});

test('the page of a hostile report holds no element that the report brought along', () => {
  const page = renderHtml(hostile(report));
  assert.equal(page.includes('<script'), false);
  assert.equal(page.includes('<img'), false);
  assert.equal(page.includes('\u0000'), false);
  assert.ok(page.split('&lt;script&gt;').length > 200);
});

test('the page names nothing outside itself', () => {
  const page = renderHtml(report);
  assert.equal(/\b(src|href|action|srcset)="(?!data:,")/.test(page), false);
  assert.equal(/url\(|@import|@font-face|<script/.test(page), false);
});

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) =>
  existsSync(file),
);
let browser: Browser | undefined;
let folder: string;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'muster-report-test-'));
  if (executable === undefined) return;
  browser = await chromium.launch({
    executablePath: executable,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Visit {
  complaints: string[];
  requests: string[];
  pwned: boolean;
  title: string;
  /** Widest thing on the page against the window. */
  overflow: number;
}

async function visit(shown: Report, width: number, javaScriptEnabled: boolean): Promise<Visit> {
  const file = path.join(folder, 'report.html');
  writeFileSync(file, renderHtml(shown));
  const context = await browser!.newContext({ viewport: { width, height: 900 }, javaScriptEnabled });
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (err) => complaints.push(err.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(file).href, { waitUntil: 'load' });
  const title = await page.locator('h1').innerText();
  const seen = await page.evaluate<Pick<Visit, 'pwned' | 'overflow'>>(`({
    pwned: 'pwned' in globalThis,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  })`);
  await context.close();
  return {
    complaints,
    title,
    ...seen,
    requests: requests.filter((url) => url !== pathToFileURL(file).href && !url.startsWith('data:')),
  };
}

function skippedWithoutBrowser(t: TestContext): boolean {
  if (browser !== undefined) return false;
  t.skip('no Chromium found in /usr/bin: the page was not opened');
  return true;
}

const visits = [
  { name: 'on a wide screen', shown: report, width: 1280, js: true },
  { name: 'on a phone', shown: report, width: 390, js: true },
  { name: 'without JavaScript', shown: report, width: 1280, js: false },
  { name: 'with hostile text in every field', shown: hostile(report), width: 1280, js: true },
];
for (const { name, shown, width, js } of visits) {
  test(`the page opens ${name} without complaint, request or overflow`, async (t) => {
    if (skippedWithoutBrowser(t)) return;
    const { complaints, requests, pwned, title, overflow } = await visit(shown, width, js);
    assert.deepEqual(
      { complaints, requests, pwned, title },
      { complaints: [], requests: [], pwned: false, title: 'Passed' },
    );
    if (shown === report) assert.ok(overflow <= 0, `${overflow} pixels wider than the window`);
  });
}
