import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Upstream } from '../source/test-source-contract.ts';

/**
 * Shape of the answers: `2.14` embeds groups in users and sends empty lists as such; `detail` is an old server whose
 * users name no groups, and whose empty lists are null.
 */
export type Compat = '2.14' | 'detail';

export interface FakePocketId {
  readonly url: string;
  /** Method, path with query and key of every request so far. */
  readonly requests: { method: string; path: string; key: string | undefined; headers: IncomingMessage['headers'] }[];
  content: Upstream;
  /** Answers the next matching request instead; return false to let it pass. */
  intercept: ((path: string, response: ServerResponse) => boolean) | null;
  /** Highest number of requests that were answered at the same time. */
  mostAtOnce: number;
}

const KEY = 'k'.repeat(32);

export { KEY as FAKE_API_KEY };

/** A PocketID for tests: its paging quirks, empty lists and error bodies. Loopback only. */
export async function startFakePocketId(t: Pick<TestContext, 'after'>, compat: Compat = '2.14'): Promise<FakePocketId> {
  let running = 0;
  const server = createServer((request, response) => {
    running += 1;
    fake.mostAtOnce = Math.max(fake.mostAtOnce, running);
    response.on('close', () => {
      running -= 1;
    });
    setTimeout(() => answer(request, response), 2);
  });

  function answer(request: IncomingMessage, response: ServerResponse) {
    const path = request.url ?? '';
    const key = request.headers['x-api-key'];
    fake.requests.push({ method: request.method ?? '', path, key: String(key), headers: request.headers });
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
    };
    if (fake.intercept?.(path, response)) return;
    if (key !== KEY) return send(401, { error: 'You are not signed in', code: 'not_signed_in' });
    const url = new URL(path, 'http://localhost');
    const { users, groups } = fake.content;
    const none = compat === 'detail' ? null : [];
    const groupBody = (group: Upstream['groups'][number], count: number) => ({
      id: group.id,
      friendlyName: group.name,
      name: group.name,
      customClaims: group.customClaims ?? none,
      userCount: count,
      ldapId: null,
      createdAt: '2026-01-02T10:00:00Z',
    });
    const userBody = (user: Upstream['users'][number]) => ({
      firstName: '',
      lastName: '',
      displayName: '',
      email: null,
      emailVerified: false,
      isAdmin: false,
      locale: null,
      ldapId: null,
      disabled: false,
      ...user,
      customClaims: user.customClaims ?? none,
      ...(compat === 'detail'
        ? {}
        : {
            // Neither counts nor claims are loaded here.
            userGroups: groups
              .filter(({ userIds }) => userIds.includes(user.id))
              .map((group) => ({ ...groupBody(group, 0), customClaims: none })),
          }),
    });
    const page = (all: { sort: string; body: unknown }[]) => {
      const asked = Number(url.searchParams.get('pagination[limit]') ?? 0);
      const limit = asked < 1 ? 20 : Math.min(asked, 100);
      const sorted = url.searchParams.get('sort[column]')
        ? all.toSorted((a, b) => (a.sort < b.sort ? -1 : 1))
        : all.toReversed();
      const totalPages = Math.max(1, Math.ceil(all.length / limit));
      const current = Math.min(Math.max(1, Number(url.searchParams.get('pagination[page]') ?? 1)), totalPages);
      const data = sorted.slice((current - 1) * limit, current * limit).map(({ body }) => body);
      send(200, {
        data,
        pagination: { totalPages, totalItems: all.length, currentPage: current, itemsPerPage: limit },
      });
    };
    const one = /^\/api\/(users|user-groups)\/([^/]+)$/.exec(url.pathname);
    if (url.pathname === '/api/users') page(users.map((user) => ({ sort: user.username, body: userBody(user) })));
    else if (url.pathname === '/api/user-groups') {
      page(groups.map((group) => ({ sort: group.name, body: groupBody(group, group.userIds.length) })));
    } else if (one?.[1] === 'users') {
      const user = users.find(({ id }) => id === one[2]);
      if (user) send(200, userBody(user));
      else send(404, { error: 'Record not found' });
    } else if (one) {
      const group = groups.find(({ id }) => id === one[2]);
      if (!group) return send(404, { error: 'Record not found' });
      const { userCount, ...rest } = groupBody(group, 0);
      const members = users.filter(({ id }) => group.userIds.includes(id));
      send(200, {
        ...rest,
        users: members.map((user) => ({ ...userBody(user), customClaims: none, userGroups: none })),
        allowedOidcClients: [],
      });
    } else send(404, { error: 'Not found' });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const fake: FakePocketId = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    content: { users: [], groups: [] },
    intercept: null,
    mostAtOnce: 0,
  };
  return fake;
}
