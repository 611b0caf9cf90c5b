import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CommandError } from '../exit-codes.ts';
import { listen } from '../service/socket-server.ts';
import { answersSoon, checkOptions, type SetupOptions } from './run-setup.ts';

const NONE: SetupOptions = {
  pam: null,
  sudo: null,
  sssd: false,
  sudoLdap: false,
  confirm: false,
  confirmWithin: null,
  noConfirm: false,
  revert: false,
  undo: false,
  dryRun: false,
  force: false,
  allowPlainLdap: false,
  startTls: false,
  hostAccess: false,
  auditd: false,
  hostname: null,
};

describe('options of setup', () => {
  const GOOD: Partial<SetupOptions>[] = [
    { pam: 'sudo' },
    { sssd: true },
    { pam: 'sudo', sssd: true, dryRun: true, force: true, startTls: true, hostAccess: true },
    { sudoLdap: true, force: true, allowPlainLdap: true },
    { undo: true, dryRun: true },
    { pam: 'sudo', confirmWithin: '1440' },
    { pam: 'sudo', noConfirm: true, dryRun: true },
    { confirm: true },
    { auditd: true, hostname: 'web1.example.com' },
    { revert: true },
    { sudo: 'plugin' },
    { sudo: 'pam', sssd: true },
    { sudo: 'pam', pam: 'sudo,sshd' },
  ];
  for (const options of GOOD) it(JSON.stringify(options), () => checkOptions({ ...NONE, ...options }));

  const BAD: [Partial<SetupOptions>, RegExp][] = [
    [{}, /Say what to set up/],
    [{ undo: true, sssd: true }, /Say what to set up/],
    [{ confirm: true, pam: 'sudo' }, /Say what to set up/],
    [{ undo: true, hostname: 'web1' }, /--hostname goes with/],
    [{ confirm: true, revert: true }, /Say what to set up/],
    [{ confirm: true, dryRun: true }, /--dry-run goes with/],
    [{ confirm: true, noConfirm: true }, /go with what is set up/],
    [{ pam: 'sudo', noConfirm: true, confirmWithin: '5' }, /not both/],
    ...['0', '-1', '1441', '5m', '', '01'].map((confirmWithin): [Partial<SetupOptions>, RegExp] => [
      { pam: 'sudo', confirmWithin },
      /takes minutes, 1 to 1440/,
    ]),
    [{ undo: true, pam: 'sudo' }, /Say what to set up/],
    [{ undo: true, sudo: 'pam' }, /Say what to set up/],
    [{ sudo: 'pam', pam: 'sshd' }, /--sudo goes with sudo in --pam/],
    [{ sssd: true, sudoLdap: true }, /--sudo-ldap is for hosts whose sssd asks another directory/],
    [{ pam: 'sudo', force: true }, /--force goes with --sssd/],
    [{ pam: 'sudo', allowPlainLdap: true }, /--allow-plain-ldap goes with/],
    [{ pam: 'sudo', startTls: true }, /--start-tls goes with/],
    [{ sudoLdap: true, hostAccess: true }, /--host-access goes with --sssd/],
  ];
  for (const [options, words] of BAD) {
    it(`[E-S11] not ${JSON.stringify(options)}`, () =>
      assert.throws(
        () => checkOptions({ ...NONE, ...options }),
        (error) => error instanceof CommandError && error.code === 2 && words.test(error.message),
      ));
  }
});

describe('setup right after the agent was started', () => {
  it('waits until the agent listens, and no longer than a moment where it does not', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'identree-soon-'));
    const socket = join(dir, 'run', 'agent.sock');
    try {
      assert.equal(await answersSoon(socket, 50), false);
      const answered = answersSoon(socket, 60_000);
      const agent = await listen(socket, async (stream) => void stream.end());
      assert.equal(await answered, true);
      await agent.close();
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
