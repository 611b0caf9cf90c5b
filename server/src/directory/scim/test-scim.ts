import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Config } from '../../config/config.ts';
import { createTestApp } from '../../testing/test-app.ts';
import { SCHEMA } from './resource.ts';
import { createScimSource } from './source.ts';

export const TEST_ISSUER = 'https://id.example';
export const TEST_ADMIN = { username: 'root-admin', remoteAddr: null };

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, each asserted on
export type Json = Record<string, any>;

/** A client of the SCIM server, and what it says over HTTP. */
export type TestScimClient = Awaited<ReturnType<Awaited<ReturnType<typeof openScim>>['client']>>;

/** The whole server with SCIM as its source, and clients of it. An answer of 500 fails the test. */
export async function openScim(
  t: Pick<TestContext, 'after'>,
  driver: Config['database']['driver'] = 'sqlite',
  env: Record<string, string> = {},
) {
  const site = await createTestApp({
    driver,
    env: {
      IDENTREE_DIRECTORY_SOURCE: 'scim',
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: '127.0.0.1:0',
      ...env,
    },
  });
  t.after(() => site.close());
  const { http, db, events } = site.app;
  const { scim } = site.app.directory!;
  const source = createScimSource({ db });

  /** Exactly these bytes, by whoever. */
  async function send(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    headers: Record<string, string>,
    payload?: string,
  ) {
    const response = await http.inject({
      method,
      url: `/scim/v2${path}`,
      headers,
      ...(payload === undefined ? {} : { payload }),
    });
    assert.notEqual(response.statusCode, 500, `${method} ${path}: ${response.body}`);
    return {
      status: response.statusCode,
      body: (response.body === '' ? {} : response.json()) as Json,
      headers: response.headers,
    };
  }

  return {
    ...site,
    db,
    scim,
    http,
    source,
    send,
    async client(over: Partial<Parameters<typeof scim.createClient>[0]> = {}) {
      const made = await scim.createClient(
        { name: 'idp', issuer: TEST_ISSUER, sudo: false, days: 30, ...over },
        TEST_ADMIN,
      );
      const authorization = `Bearer ${made.token}`;
      return {
        ...made,
        /** Exactly these bytes with the client's token. */
        raw: (
          method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
          path: string,
          payload?: string,
          headers: Record<string, string> = {},
        ) => send(method, path, { authorization, 'content-type': 'application/scim+json', ...headers }, payload),
        call: (
          method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
          path: string,
          body?: unknown,
          headers: Record<string, string> = {},
        ) =>
          send(
            method,
            path,
            {
              authorization,
              ...(body === undefined ? {} : { 'content-type': 'application/scim+json' }),
              ...headers,
            },
            body === undefined ? undefined : JSON.stringify(body),
          ),
      };
    },
    /** What hosts would be told. */
    async snapshot() {
      const result = await source.fetch(new AbortController().signal);
      assert.ok(result.ok, JSON.stringify(result));
      return result.snapshot;
    },
    eventNames: async () =>
      (await events.read(0, 1000)).map(({ event }) => event as string).filter((name) => name.startsWith('scim_')),
  };
}

/** A user as a client writes it. */
export const testUser = (userName: string, over: object = {}) => ({
  schemas: [SCHEMA.user],
  externalId: `ext-${userName}`,
  userName,
  active: true,
  ...over,
});
