import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from '@playwright/test';
import { openChromium, openTab, whyNoChromium } from '../harness/chromium.ts';
import { ask, eventsBecome, mark, skip as noLab, openWorld, type World } from '../harness/world.ts';

const skip = noLab || (whyNoChromium() ?? false);

/** Nothing in this chain is a stand-in but the hardware of the passkey. */
describe('the whole chain: real sudo, real server, real browser', () => {
  let world: World;
  let browser: Browser;
  before(async () => {
    if (skip) return;
    world = await openWorld({ people: ['olga'] });
    browser = await openChromium(world.lab, [Number(new URL(world.server.idp.issuer).port)]);
  });
  after(async () => {
    await browser?.close();
    await world?.close();
  });

  /** A page whose every complaint is an error. */
  async function strictPage(): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.newContext({ viewport: { width: 360, height: 740 } });
    const page = await openTab(context);
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      const { url } = message.location();
      if (message.type() === 'error' && url.startsWith(world.server.url)) complaints.push(`${url}: ${message.text()}`);
    });
    return { page, complaints };
  }

  test('[W-1] sign in, make a passkey, approve: the command runs; the next one is denied', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const { page, complaints } = await strictPage();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    const [link = ''] = await request.terminal.see(/https:\/\/\S+\/approve\/\S+/);

    await page.goto(link);
    await page.getByRole('link', { name: 'Alice Ahlberg' }).click();
    await page.waitForURL(link);
    await page.getByText(`sudo touch ${file}`).first().waitFor();
    await page.getByRole('button', { name: 'Create a passkey' }).click();
    await page.getByRole('button', { name: 'Approve' }).click();
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(host.exists(file), true);
    await page.locator('#outcome', { hasText: 'Released to sudo.' }).waitFor();
    await eventsBecome(request, ['challenge_created', 'challenge_shown', 'challenge_approved', 'challenge_outcome']);
    assert.equal(request.row().class, 'passkey');

    const other = mark();
    const second = await ask(world, host, 'alice', ['sudo', 'touch', other]);
    await page.goto(`${world.server.url}/approve/${second.code}`);
    await page.getByRole('button', { name: 'Deny', exact: true }).click();
    await page.getByRole('textbox').first().fill('wrong host');
    await page.getByRole('button', { name: 'Deny request' }).click();
    assert.equal(await second.terminal.exit, 1);
    assert.match(second.terminal.text(), /wrong host/);
    assert.equal(host.exists(other), false);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
