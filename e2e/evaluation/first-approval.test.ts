import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from '@playwright/test';
import { openTab, whyNoChromium } from '../harness/chromium.ts';
import { CHROMIUM } from '../harness/chromium-program.ts';
import { type Evaluation, rehearse, startEvaluation } from './evaluation.ts';

const skip = whyNoChromium() ?? false;
/** What the product promises from `npm start` to the first approval. */
const PROMISE_MS = 120_000;

/** A phone-sized page whose every complaint is an error. */
async function strictPage(context: BrowserContext): Promise<{ page: Page; complaints: string[] }> {
  const page = await openTab(context);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  return { page, complaints };
}

describe('npm start, npm run try, and a person with a browser', { skip }, () => {
  let browser: Browser;
  let context: BrowserContext;
  let evaluation: Evaluation | undefined;
  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM });
    context = await browser.newContext({ viewport: { width: 360, height: 740 } });
  });
  after(async () => {
    await browser?.close();
    await evaluation?.remove();
  });

  test('from nothing to the first approval in less than two minutes', async () => {
    const begun = Date.now();
    evaluation = await startEvaluation({ viaNpm: true });
    const { code } = evaluation;
    const rehearsal = await rehearse(evaluation, 'systemctl', 'restart', 'nginx');
    const { page, complaints } = await strictPage(context);
    // In an address the code would stay in histories and logs.
    page.on('request', (request) => assert.ok(!request.url().includes(code)));
    await page.goto(rehearsal.link);
    await page.getByLabel('Sign-in code').fill(code);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Alice Ahlberg' }).click();
    await page.waitForURL(rehearsal.link);
    await page.getByText('systemctl restart nginx').first().waitFor();
    await page.getByText('This is a rehearsal.').waitFor();
    await page.getByRole('button', { name: 'Create a passkey' }).click();
    await page.getByRole('button', { name: 'Approve' }).click();
    assert.equal(await rehearsal.exited, 0, rehearsal.said());
    assert.ok(Date.now() - begun < PROMISE_MS, `took ${Date.now() - begun} ms`);
    assert.match(rehearsal.said(), /nothing was run/);
    assert.deepEqual(complaints, []);
  });

  test('the second request: the code is not asked again, denying ends it with 1', async () => {
    assert.ok(evaluation);
    const rehearsal = await rehearse(evaluation, '--user', 'alice', 'systemctl', 'stop', 'nginx');
    const { page, complaints } = await strictPage(context);
    await page.goto(rehearsal.link);
    await page.getByRole('button', { name: 'Deny', exact: true }).click();
    await page.getByRole('textbox').first().fill('not today');
    await page.getByRole('button', { name: 'Deny request' }).click();
    assert.equal(await rehearsal.exited, 1, rehearsal.said());
    assert.match(rehearsal.said(), /not today/);
    assert.deepEqual(complaints, []);
  });

  test('after a restart the same browser and the same demo host go on', async () => {
    assert.ok(evaluation);
    const { folder, port, code } = evaluation;
    assert.equal(await evaluation.stop(), 0, evaluation.said());
    evaluation = await startEvaluation({ folder, port });
    assert.equal(evaluation.code, code);
    const rehearsal = await rehearse(evaluation, 'id');
    const { page } = await strictPage(context);
    await page.goto(rehearsal.link);
    await page.getByRole('button', { name: 'Deny', exact: true }).click();
    await page.getByRole('button', { name: 'Deny request' }).click();
    assert.equal(await rehearsal.exited, 1, rehearsal.said());
  });

  test('a person who may not approve gets no way to', async () => {
    assert.ok(evaluation);
    const rehearsal = await rehearse(evaluation, 'id');
    const other = await browser.newContext();
    const { page } = await strictPage(other);
    await page.goto(rehearsal.link);
    await page.getByLabel('Sign-in code').fill(evaluation.code.toLowerCase());
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Carol Costa' }).click();
    await page.waitForURL(rehearsal.link);
    await page.getByRole('heading').first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0);
    await other.close();
    rehearsal.cancel();
    assert.equal(await rehearsal.exited, 1, rehearsal.said());
    assert.match(rehearsal.said(), /Cancelled/);
  });
});

test('a request that nobody answers ends with 2', async () => {
  const evaluation = await startEvaluation({ ttl: '5s' });
  try {
    const rehearsal = await rehearse(evaluation, 'id');
    assert.equal(await rehearsal.exited, 2, rehearsal.said());
  } finally {
    await evaluation.remove();
  }
});
