import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { consoleProcedures } from '#shared/console.ts';
import { readConsoleRequest } from './api-paths.ts';

const ALLOWED_PROCEDURES = consoleProcedures();
const at = (path: string) => `app://console${path}`;

test('allowed procedures, alone and in a batch', () => {
  assert.deepEqual(readConsoleRequest('GET', at('/trpc/challenges.inbox')), {
    kind: 'procedures',
    names: ['challenges.inbox'],
    target: '/trpc/challenges.inbox',
  });
  const batch = readConsoleRequest('GET', at('/trpc/me.get,challenges.inbox?batch=1&input=%7B%7D'));
  assert.equal(batch.kind, 'procedures');
  assert.equal(batch.kind === 'procedures' && batch.target, '/trpc/me.get,challenges.inbox?batch=1&input=%7B%7D');
  assert.equal(readConsoleRequest('POST', at('/trpc/challenges.deny?batch=1')).kind, 'procedures');
});

test('every tab of the directory page, accounts among them', () => {
  for (const name of ['status', 'accounts', 'lints', 'holds'])
    assert.equal(readConsoleRequest('GET', at(`/trpc/directory.${name}`)).kind, 'procedures', name);
});

test('live updates', () => {
  assert.deepEqual(readConsoleRequest('GET', at('/api/events')), { kind: 'events' });
});

test('files and routes of the console', () => {
  for (const path of ['/', '/index.html', '/assets/index-B2_x~1.js', '/history', '/hosts/web1']) {
    assert.deepEqual(readConsoleRequest('GET', at(path)), { kind: 'file', path });
  }
});

test('the list holds nothing that approves, enrols, or touches passkeys, policy or keys', () => {
  for (const name of Object.keys(ALLOWED_PROCEDURES)) {
    assert.doesNotMatch(
      name,
      /approve|register|remove|rename|revoke|enrol|token|confirm|recover|polic(y|ies)\.|reveal|create|update|delete|import|export|reject|release|refresh/i,
      name,
    );
  }
  const mutations = Object.entries(ALLOWED_PROCEDURES).filter(([, kind]) => kind === 'mutation');
  assert.deepEqual(
    mutations.map(([name]) => name),
    ['challenges.deny'],
  );
});

const refused: [why: string, method: string, url: string][] = [
  ['approving', 'POST', at('/trpc/challenges.approve')],
  ['a name off the list', 'GET', at('/trpc/admin.settings')],
  ['letting a held change through', 'POST', at('/trpc/directory.confirm')],
  ['changing who is root', 'POST', at('/trpc/sudoRules.create')],
  ['a token that writes people', 'POST', at('/trpc/scim.createClient')],
  ['rules as a file', 'GET', at('/trpc/sudoRules.export')],
  ['a property that every object has', 'GET', at('/trpc/constructor')],
  ['__proto__', 'GET', at('/trpc/__proto__')],
  ['a forbidden name behind an allowed one', 'POST', at('/trpc/challenges.deny,challenges.approve?batch=1')],
  ['a forbidden name before an allowed one', 'POST', at('/trpc/challenges.approve,challenges.deny?batch=1')],
  ['an encoded comma', 'POST', at('/trpc/challenges.deny%2Cchallenges.approve?batch=1')],
  ['an encoded name', 'POST', at('/trpc/challenges%2Edeny')],
  ['an empty name in a batch', 'GET', at('/trpc/challenges.inbox,')],
  ['no name', 'GET', at('/trpc/')],
  ['queries and mutations mixed', 'POST', at('/trpc/challenges.inbox,challenges.deny?batch=1')],
  ['a mutation by GET', 'GET', at('/trpc/challenges.deny')],
  ['a query by POST', 'POST', at('/trpc/challenges.inbox')],
  ['a method of another kind', 'DELETE', at('/trpc/challenges.inbox')],
  ['a path below a procedure', 'GET', at('/trpc/challenges.inbox/../challenges.approve')],
  ['a huge batch', 'GET', at(`/trpc/${Array(30).fill('challenges.inbox').join(',')}?batch=1`)],
  ['a huge query', 'GET', at(`/trpc/challenges.inbox?input=${'x'.repeat(20_000)}`)],
  ['connection parameters', 'GET', at('/trpc/challenges.inbox?connectionParams=%7B%7D')],
  ['a repeated parameter', 'GET', at('/trpc/challenges.inbox?input=1&input=2')],
  ['writing to the event stream', 'POST', at('/api/events')],
  ['an unknown parameter of the event stream', 'GET', at('/api/events?token=x')],
  ['the host API', 'GET', at('/api/host/v1/challenges')],
  ['the token endpoint', 'POST', at('/api/desktop/token')],
  ['the REST API', 'GET', at('/api/v1/hosts')],
  ['the API root', 'GET', at('/api')],
  ['events in other spelling', 'GET', at('/api//events')],
  ['dots', 'GET', at('/../etc/passwd')],
  ['dots at the end', 'GET', at('/assets/..')],
  ['one dot', 'GET', at('/./trpc/challenges.inbox')],
  ['encoded dots', 'GET', at('/%2e%2e/etc/passwd')],
  ['double-encoded dots', 'GET', at('/%252e%252e/etc/passwd')],
  ['an encoded slash', 'GET', at('/..%2f..%2fetc/passwd')],
  ['a backslash', 'GET', at('/..\\..\\etc\\passwd')],
  ['an encoded backslash', 'GET', at('/..%5c..%5cetc%5cpasswd')],
  ['an encoded NUL', 'GET', at('/index.html%00.png')],
  ['a raw control character', 'GET', at('/index.html\n')],
  ['overlong UTF-8', 'GET', at('/%c0%ae%c0%ae/etc/passwd')],
  ['a matrix parameter', 'GET', at('/trpc/challenges.inbox;x')],
  ['writing a file', 'PUT', at('/index.html')],
  ['another host', 'GET', 'app://setup/index.html'],
  ['a host that begins like ours', 'GET', 'app://console.evil/index.html'],
  ['userinfo', 'GET', 'app://x@console/index.html'],
  ['a port', 'GET', 'app://console:1/index.html'],
  ['another scheme', 'GET', 'https://console/index.html'],
  ['a fragment', 'GET', at('/index.html#x')],
];

for (const [why, method, url] of refused) {
  test(`refused: ${why}`, () => assert.equal(readConsoleRequest(method, url).kind, 'refused'));
}

test('fuzz: whatever is forwarded starts with an allowed procedure or is the event stream, in plain characters', () => {
  const piece = fc.constantFrom(
    'trpc',
    'api',
    'events',
    '..',
    '.',
    '',
    'challenges.inbox',
    'challenges.deny',
    'challenges.approve',
    ',',
    '%2f',
    '%2e',
    '\\',
    '?',
    '#',
    '/',
  );
  const path = fc
    .array(fc.oneof(piece, fc.string({ unit: 'binary', maxLength: 5 })), { maxLength: 8 })
    .chain((parts) =>
      fc.constantFrom(
        `/${parts.join('/')}`,
        `/${parts.join('')}`,
        `/trpc/${parts.join(',')}`,
        `/api/events${parts.join('')}`,
      ),
    );
  fc.assert(
    fc.property(fc.constantFrom('GET', 'POST'), path, (method, text) => {
      const read = readConsoleRequest(method, at(text));
      if (read.kind === 'procedures') {
        const list = /^\/trpc\/([A-Za-z.,]+)(?:\?|$)/.exec(read.target)?.[1];
        assert.ok(list, read.target);
        for (const name of list.split(',')) assert.ok(Object.hasOwn(ALLOWED_PROCEDURES, name));
      } else if (read.kind === 'events') {
        assert.match(text, /^\/api\/events\??$/);
      }
    }),
    { numRuns: 5000 },
  );
});
