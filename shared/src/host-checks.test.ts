import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fixOf } from './host-checks.ts';

describe('what to run against a problem', () => {
  for (const [problem, text, fix] of [
    ['Run: identree renew-cert', '', 'identree renew-cert'],
    [
      'It should have been renewed by now. Run: identree renew-cert',
      'It should have been renewed by now.',
      'identree renew-cert',
    ],
    ['Run: systemctl restart sssd; journalctl -u sssd -n 20', '', 'systemctl restart sssd; journalctl -u sssd -n 20'],
    ['The last attempt failed: no route.', 'The last attempt failed: no route.', null],
    ['Nothing listens.', 'Nothing listens.', null],
  ] as const) {
    it(problem, () => assert.deepEqual(fixOf(problem), { text, fix }));
  }
});
