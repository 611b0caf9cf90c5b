import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createTestApp, TEST_EXTERNAL_URL, type TestApp } from '../testing/test-app.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';

/** REST on the whole server, with the rules of bridge mode as the operations. */
describe('REST', () => {
  let site: TestApp;
  let olga: TestPerson;
  let mallory: TestPerson;
  const provider = createTestProvider();
  before(async () => {
    site = await createTestApp({ env: { IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com' }, app: { provider } });
    olga = await signInTestPerson(site.app, provider, site.clock, 'olga', { groups: ['admins'], passkey: false });
    mallory = await signInTestPerson(site.app, provider, site.clock, 'mallory', { passkey: false });
  });
  after(() => site.close());

  async function send(
    who: TestPerson | null,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ) {
    const answer = await site.app.http.inject({
      method,
      url: `/api/v1${path}`,
      headers: {
        ...(who ? { cookie: who.cookie, 'x-csrf-token': who.csrf } : {}),
        origin: TEST_EXTERNAL_URL,
        'sec-fetch-site': 'same-origin',
        ...headers,
      },
      ...(body ? { payload: body } : {}),
    });
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() };
  }
  const rule = { group: 'ops', commands: ['/usr/bin/uptime'] };

  test('a rule is made, listed, changed and removed, each with the status that says so', async () => {
    const made = await send(olga, 'POST', '/sudo-rules', { rule });
    assert.deepEqual([made.status, made.body.rule.name, made.body.rule.revision], [201, 'ops', 1]);
    const { id } = made.body.rule;
    assert.equal((await send(olga, 'GET', '/sudo-rules')).body.length, 1);
    const changed = await send(olga, 'PUT', `/sudo-rules/${id}`, { revision: 1, rule: { ...rule, order: 7 } });
    assert.deepEqual([changed.status, changed.body.rule.revision], [200, 2]);
    const late = await send(olga, 'PUT', `/sudo-rules/${id}`, { revision: 1, rule });
    assert.deepEqual([late.status, late.body.current.revision], [409, 2]);
    assert.match((await send(olga, 'GET', '/sudo-rules/export')).body, /"ops"/);
    assert.equal((await send(olga, 'DELETE', `/sudo-rules/${id}?revision=1`)).status, 409);
    assert.equal((await send(olga, 'DELETE', `/sudo-rules/${id}?revision=2`)).status, 200);
    assert.equal((await send(olga, 'DELETE', `/sudo-rules/${id}?revision=2`)).status, 404);
  });

  test('who asks more than anybody looks at is told so, over both ways, and nobody else', async () => {
    const answers: Awaited<ReturnType<typeof send>>[] = [];
    while (answers.at(-1)?.status !== 429 && answers.length < 2000)
      answers.push(await send(mallory, 'GET', '/sudo-rules'));
    assert.ok(answers.length > 1000);
    assert.equal(answers.at(-1)?.body.error.code, 'rate_limited');
    const console = await mallory.query('challenges.inbox');
    assert.deepEqual([console.status, console.refusal], [429, 'rate_limited']);
    assert.equal((await send(olga, 'GET', '/sudo-rules')).status, 200);
    site.clock.advance(61_000);
    assert.equal((await mallory.query('challenges.inbox')).status, 200);
  });

  test('what is wrong is said field by field, and what has to be meant needs a second yes', async () => {
    const wrong = await send(olga, 'POST', '/sudo-rules', { rule: { group: 'ops', commands: ['apt'] } });
    assert.deepEqual([wrong.status, wrong.body.problems[0].field], [422, 'commands']);
    const all = { group: 'ops', commands: ['ALL'] };
    const warned = await send(olga, 'POST', '/sudo-rules', { rule: all });
    assert.deepEqual([warned.status, warned.body.why], [422, 'warnings']);
    assert.equal((await send(olga, 'POST', '/sudo-rules', { rule: all, acknowledged: true })).status, 201);
    const shape = await send(olga, 'POST', '/sudo-rules', { rule: { commands: 'ALL' } });
    assert.deepEqual([shape.status, shape.body.error.code], [400, 'bad_request']);
    assert.deepEqual(shape.body.error.problems[0].path, 'rule.commands');
  });

  test('the guards of the console hold here as well', async () => {
    assert.equal((await send(null, 'GET', '/sudo-rules')).status, 401);
    assert.equal((await send(mallory, 'GET', '/sudo-rules')).status, 403);
    assert.equal((await send(mallory, 'POST', '/sudo-rules', { rule })).status, 403);
    const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    assert.equal((await send(olga, 'POST', '/sudo-rules', { rule }, foreign)).body.error.code, 'csrf');
    assert.equal((await send(olga, 'DELETE', '/sudo-rules/x?revision=1', undefined, foreign)).body.error.code, 'csrf');
    assert.equal((await send(olga, 'PUT', '/sudo-rules/x', {}, { 'x-csrf-token': 'guess' })).body.error.code, 'csrf');
    assert.equal((await send(olga, 'GET', '/sudo-rules/nothing')).status, 404);
  });

  test('the description is OpenAPI 3.1 and names every operation with its input', async () => {
    const { body } = await send(null, 'GET', '/openapi.json');
    assert.equal(body.openapi, '3.1.0');
    const update = body.paths['/api/v1/sudo-rules/{id}'].put;
    assert.equal(update.operationId, 'sudoRules.update');
    assert.deepEqual(
      update.parameters.map((one: { name: string }) => one.name),
      ['id'],
    );
    const schema = update.requestBody.content['application/json'].schema;
    assert.deepEqual(schema.required, ['revision', 'rule']);
    assert.ok(schema.properties.rule.properties.commands);
  });
});
