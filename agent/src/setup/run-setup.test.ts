import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError } from '../exit-codes.ts';
import { checkOptions, type SetupOptions } from './run-setup.ts';

const NONE: SetupOptions = {
  pam: null,
  sudo: null,
  sssd: false,
  sudoLdap: false,
  undo: false,
  dryRun: false,
  force: false,
  allowPlainLdap: false,
  startTls: false,
  hostAccess: false,
};

describe('options of setup', () => {
  const GOOD: Partial<SetupOptions>[] = [
    { pam: 'sudo' },
    { sssd: true },
    { pam: 'sudo', sssd: true, dryRun: true, force: true, startTls: true, hostAccess: true },
    { sudoLdap: true, force: true, allowPlainLdap: true },
    { undo: true, dryRun: true },
  ];
  for (const options of GOOD) it(JSON.stringify(options), () => checkOptions({ ...NONE, ...options }));

  const BAD: [Partial<SetupOptions>, RegExp][] = [
    [{}, /Say what to set up/],
    [{ undo: true, sssd: true }, /Say what to set up/],
    [{ undo: true, pam: 'sudo' }, /Say what to set up/],
    [{ sssd: true, sudoLdap: true }, /--sudo-ldap is for hosts whose sssd asks another directory/],
    [{ pam: 'sudo', force: true }, /--force goes with --sssd/],
    [{ pam: 'sudo', allowPlainLdap: true }, /--allow-plain-ldap goes with/],
    [{ pam: 'sudo', startTls: true }, /--start-tls goes with/],
    [{ sudoLdap: true, hostAccess: true }, /--host-access goes with --sssd/],
  ];
  for (const [options, words] of BAD) {
    it(`not ${JSON.stringify(options)}`, () =>
      assert.throws(
        () => checkOptions({ ...NONE, ...options }),
        (error) => error instanceof CommandError && error.code === 2 && words.test(error.message),
      ));
  }
});
