import assert from 'node:assert/strict';

/** Waits until something holds. For tests. */
export async function until(what: string, check: () => unknown): Promise<void> {
  for (const end = Date.now() + 90_000; Date.now() < end; ) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`waited for ${what}`);
}
