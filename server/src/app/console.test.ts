import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CONSOLE_PAGES, type ConsolePage, consoleProcedures } from '#shared/console.ts';
import { Refusal } from '#shared/errors.ts';
import type { Viewer } from '../http/viewer.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';

/** What shared/src/console.ts says of the console, held against the server. */

let t: TestApp;
before(async () => {
  t = await createTestApp();
});
after(() => t.close());

const viewer = (role: Viewer['role']): Viewer => ({
  person: {
    id: 'x',
    issuer: 'https://idp',
    subject: 'x',
    username: 'x',
    displayName: 'x',
    groups: [],
    epoch: 0,
    sourceId: null,
  },
  role,
  accounts: [],
  session: { idHash: 'x', handle: 'x', kind: 'desktop', authTime: 0, csrfToken: 'x' },
  remoteAddr: '192.0.2.1',
});

/** What the guards in front of a procedure say to somebody in the desktop app; null when it gets past them. */
async function refusalOf(name: string, role: Viewer['role']): Promise<string | null> {
  const context = { viewer: viewer(role), remoteAddr: '192.0.2.1', userAgent: '' };
  const caller = t.app.router.createCaller(context) as unknown;
  const procedure = name.split('.').reduce((at, part) => (at as Record<string, unknown>)[part], caller);
  try {
    await (procedure as () => Promise<unknown>)();
    return null;
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    return cause instanceof Refusal && ['session_kind', 'forbidden', 'not_signed_in'].includes(cause.code)
      ? cause.code
      : null;
  }
}

describe('the procedures that the console declares', () => {
  for (const [name, kind] of Object.entries(consoleProcedures())) {
    test(`${name} is a ${kind} of the server that the desktop app may call`, async () => {
      const procedures = t.app.router._def.procedures as unknown as Record<string, { _def: { type: string } }>;
      assert.equal(procedures[name]?._def.type, kind);
      assert.equal(await refusalOf(name, 'admin'), null);
    });
  }

  test('a page for everybody asks for nothing that only administrators see', async () => {
    for (const { path, role, queries } of CONSOLE_PAGES as readonly ConsolePage[]) {
      if (role === 'admin') continue;
      for (const name of queries) assert.equal(await refusalOf(name, 'user'), null, `${path} asks ${name}`);
    }
  });
});

test('the server answers every page of the console, and no other path, with its index', async () => {
  const index = (url: string) => t.app.http.inject({ url, headers: { accept: 'text/html' } });
  for (const { path } of CONSOLE_PAGES) {
    const { statusCode } = await index(path);
    // 503: this server was started from a tree in which the console is not built.
    assert.ok(statusCode === 200 || statusCode === 503, `${path}: ${statusCode}`);
  }
  assert.equal((await index('/no-such-page')).statusCode, 404);
});
