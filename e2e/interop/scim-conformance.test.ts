import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScim } from '../../server/src/directory/scim/test-scim.ts';
import { freePort } from '../../server/src/testing/free-port.ts';
import { installScimTester, runScimTester } from '../harness/scim2-tester.ts';

const ADDED =
  'The check adds to a list that has a value already, and wants only the new one back. RFC 7644 3.5.2.1: "a new value is added".';
const SEARCH = 'RFC 7644 3.4.3 leaves it to the server, which answers 501.';
const POSIX = 'urn:identree:params:scim:schemas:posix:2.0';

/** What does not pass: check, kind and the first line of what it says, with the reason why it is right here. */
const LISTED: Record<string, string> = {
  "check_remove_attribute of User: PATCH modify() did not remove attribute 'active'":
    'Removing the value makes it false, and the answer says so: without a value, others would take the person for active.',
  [`check_add_attribute of User: PATCH modify() returned unexpected value for '${POSIX}:User:sshPublicKeys'.`]: ADDED,
  [`check_add_attribute of Group: PATCH modify() returned unexpected value for '${POSIX}:Group:accessHosts'.`]: ADDED,
  [`check_add_attribute of Group: PATCH modify() returned unexpected value for '${POSIX}:Group:sudo'.`]: ADDED,
  'search_with_attributes of User: POST /.search: searching several resource types at once is not supported by the server':
    SEARCH,
  'search_with_attributes of Group: POST /.search: searching several resource types at once is not supported by the server':
    SEARCH,
};

const missing = await installScimTester();

test('scim2-tester finds nothing but what is listed with its reason', { skip: missing ?? false }, async (t) => {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const { http, client } = await openScim(t, 'sqlite', { IDENTREE_EXTERNAL_URL: url });
  const { token } = await client({ sudo: true });
  await http.listen({ host: '127.0.0.1', port });
  const results = await runScimTester(`${url}/scim/v2`, token);
  const passed = results.filter(({ status }) => status === 'SUCCESS');
  const others = results
    .filter(({ status }) => status !== 'SUCCESS')
    .map(({ check, resource, reason }) => `${check} of ${resource}: ${reason?.split('\n')[0]}`);
  assert.deepEqual(others.toSorted(), Object.keys(LISTED).toSorted());
  // A run that was cut short would have found nothing either.
  for (const kind of ['User', 'Group']) {
    const checks = new Set(passed.filter(({ resource }) => resource === kind).map(({ check }) => check));
    for (const check of ['object_creation', 'object_replacement', 'object_deletion', 'check_add_attribute']) {
      assert.ok(checks.has(check), `${check} of ${kind} passed`);
    }
  }
});
