import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { axe, expect, overflow } from './world.ts';

const FOLDER = process.env.SCREENSHOTS ?? join(import.meta.dirname, '../../test-results/screenshots');
mkdirSync(FOLDER, { recursive: true });

const SIZES = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 860 } } as const;
const SCHEMES = ['light', 'dark'] as const;
const LONG = process.env.IDENTREE_LONG === '1';

/** Waits until nothing on the page is on its way any more: fonts, colours of the other scheme, dialogs. */
async function still(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await document.fonts.ready;
    for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame);
    const finite = document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(finite.map(({ finished }) => finished));
  });
}

/** The page as it is now, in light and in dark, in test-results/screenshots. */
export async function picture(page: Page, name: string): Promise<void> {
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await still(page);
    await page.screenshot({ path: join(FOLDER, `${name}-${scheme}.png`) });
  }
}

/**
 * A page in light and dark, on a phone and on a desktop: nothing wider than the window, nothing that axe finds, no
 * complaint of the browser; and a screenshot in test-results/screenshots for people to look at. Each scheme and each
 * layout once: colours and structure do not depend on each other. The long form has pictures of all four.
 */
export async function inspect(page: Page, name: string, ready: () => Promise<unknown>): Promise<void> {
  for (const scheme of SCHEMES) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      const isCrossed = (scheme === 'light') !== (size === 'phone');
      if (isCrossed && !LONG) continue;
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      await page.setViewportSize(viewport);
      await ready();
      await still(page);
      const label = `${name}-${size}-${scheme}`;
      await page.screenshot({ path: join(FOLDER, `${label}.png`) });
      expect.soft(await overflow(page), `${label}: wider than the window`).toBeLessThanOrEqual(0);
      if (!isCrossed) expect.soft(await axe(page), `${label}: axe`).toEqual([]);
    }
  }
}

export const heading = (page: Page, name: string | RegExp) => () =>
  page.getByRole('heading', { level: 1, name }).waitFor();
