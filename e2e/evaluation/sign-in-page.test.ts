import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Browser, chromium, type Page } from '@playwright/test';
import { whyNoChromium } from '../harness/chromium.ts';
import { CHROMIUM } from '../harness/chromium-program.ts';
import { until } from '../harness/run.ts';
import { type Evaluation, startEvaluation } from './evaluation.ts';

const skip = whyNoChromium() ?? false;
const pictures = join(import.meta.dirname, '../../test-results/evaluation');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe('the sign-in of the evaluation', { skip }, () => {
  let browser: Browser;
  let evaluation: Evaluation;
  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM });
    evaluation = await startEvaluation();
    mkdirSync(pictures, { recursive: true });
  });
  after(async () => {
    await browser?.close();
    await evaluation?.remove();
  });

  async function open(scheme: 'light' | 'dark', width: number): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 780 } });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(`${evaluation.url}/sessions/login`);
    return { page, complaints };
  }

  async function looksRight(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.equal(overflow, 0, `${name} is wider than the screen`);
    // Through the debugger, which the page's own policy does not bind.
    const violations = (await page.evaluate(
      `${axe}; axe.run(document).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' | ')))`,
    )) as string[];
    assert.deepEqual(violations, [], name);
  }

  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [360, 1280]) {
      test(`code and people: ${scheme}, ${width} px wide`, async () => {
        const { page, complaints } = await open(scheme, width);
        await looksRight(page, `code-${scheme}-${width}`);
        await page.getByLabel('Sign-in code').fill('WRONG-ONE');
        await page.getByRole('button', { name: 'Continue' }).click();
        await page.getByRole('alert').waitFor();
        assert.deepEqual(complaints.splice(0), [
          'Failed to load resource: the server responded with a status of 403 (Forbidden)',
        ]);
        await looksRight(page, `code-wrong-${scheme}-${width}`);
        await page.getByLabel('Sign-in code').fill(evaluation.code);
        await page.getByRole('button', { name: 'Continue' }).click();
        await page.getByRole('heading', { name: 'Who are you today?' }).waitFor();
        await looksRight(page, `people-${scheme}-${width}`);
        assert.deepEqual(complaints, []);
        await page.context().close();
      });
    }
  }

  test('by keyboard alone, and the cookie is out of reach for scripts', async () => {
    const { page } = await open('light', 800);
    // Nobody has to find the field first; the browser gives it the focus once the page is shown.
    await until('the focus on the field', () =>
      page.evaluate<boolean>("document.hasFocus() && document.activeElement.id === 'code'"),
    );
    await page.keyboard.type(evaluation.code);
    assert.equal(await page.getByLabel('Sign-in code').inputValue(), evaluation.code);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Who are you today?' }).waitFor();
    await page.waitForLoadState();
    const chosen = () => page.evaluate('document.activeElement.value');
    for (let presses = 0; presses < 10 && (await chosen()) !== 'bob'; presses++) await page.keyboard.press('Tab');
    assert.equal(await chosen(), 'bob');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${evaluation.url}/`);
    const cookies = await page.context().cookies();
    for (const { name, httpOnly, sameSite } of cookies) {
      assert.ok(httpOnly, name);
      assert.notEqual(sameSite, 'None', name);
    }
    await page.context().close();
  });

  test('an address of somebody else’s sign-in leads nowhere', async () => {
    const { page } = await open('light', 800);
    const address = page.url();
    const other = await (await browser.newContext()).newPage();
    const answer = await other.goto(address);
    assert.equal(answer?.status(), 400);
    await other.getByText('This sign-in has ended').waitFor();
    await looksRight(other, 'ended-light-1280');
    await other.context().close();
    await page.context().close();
  });

  test('choosing a person without the code is refused, also with a made-up cookie', async () => {
    const { page } = await open('light', 800);
    const { url, code } = evaluation;
    await page
      .context()
      .addCookies([
        { name: 'identree_evaluation', value: `AAAAAAAAAAAAAAAAAAAAAA.${code}`, url: `${url}/evaluation/idp/` },
      ]);
    const address = `${page.url()}/person`;
    const answer = await page.request.post(address, { form: { person: 'bob' }, maxRedirects: 0 });
    assert.equal(answer.status(), 303);
    await page.goto(new URL(answer.headers().location ?? '', url).href);
    await page.getByLabel('Sign-in code').waitFor();
    const me = await page.request.get(`${url}/trpc/me.get`);
    assert.doesNotMatch(await me.text(), /bob/);
    assert.equal((await page.request.get(`${url}/trpc/passkeys.list`)).status(), 401);
    await page.context().close();
  });
});
