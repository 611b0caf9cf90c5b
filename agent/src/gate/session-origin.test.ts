import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sessionOrigin } from './session-origin.ts';

describe('origin of a login session', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'identree-session-'));
    await mkdir(join(dir, 'sessions'));
    await writeFile(join(dir, 'sessions/3'), 'UID=1000\nREMOTE=1\nREMOTE_HOST=203.0.113.5\nTTY=pts/0\n');
    await writeFile(join(dir, 'sessions/c1'), 'UID=1000\nREMOTE=0\nTTY=tty1\n');
    await writeFile(join(dir, 'sessions/4'), 'REMOTE_HOST=a\u202eb\u001b[1m\n');
  });
  after(() => rm(dir, { recursive: true }));

  async function originOf(cgroup: string | null): Promise<string | null> {
    await mkdir(join(dir, 'proc/42'), { recursive: true });
    await rm(join(dir, 'proc/42/cgroup'), { force: true });
    if (cgroup !== null) await writeFile(join(dir, 'proc/42/cgroup'), cgroup);
    return sessionOrigin(42, { proc: join(dir, 'proc'), sessions: join(dir, 'sessions') });
  }

  for (const [name, cgroup, expected] of [
    ['over SSH', '0::/user.slice/user-1000.slice/session-3.scope\n', '203.0.113.5'],
    [
      'over SSH, on a hybrid hierarchy',
      '4:pids:/user.slice\n1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n0::/x\n',
      '203.0.113.5',
    ],
    ['in a child group', '0::/user.slice/user-1000.slice/session-3.scope/vte\n', '203.0.113.5'],
    ['at the console', '0::/user.slice/user-1000.slice/session-c1.scope\n', null],
    ['of a service', '0::/system.slice/cron.service\n', null],
    ['that ended', '0::/user.slice/user-1000.slice/session-99.scope\n', null],
    ['whose name is a path', '0::/user.slice/user-1000.slice/session-../../x.scope\n', null],
    ['of a process that is gone', null, null],
    ['with a hostile host name', '0::/user.slice/user-1000.slice/session-4.scope\n', 'a\\u{202e}b\\x1b[1m'],
    [
      'in a container that sees the groups outside',
      '0::/machine.slice/machine-web1.scope/payload/user.slice/user-1000.slice/session-3.scope\n',
      '203.0.113.5',
    ],
    // systemd-run --user --scope --unit=session-3 sudo
    [
      'that an account has called like the session of another',
      '0::/user.slice/user-1001.slice/user@1001.service/app.slice/session-3.scope\n',
      null,
    ],
    [
      'that an account has called like all that leads to one',
      '0::/user.slice/user-1001.slice/user@1001.service/user.slice/user-1000.slice/session-3.scope\n',
      null,
    ],
    ['that anybody else has called so', '0::/system.slice/runner.service/session-3.scope\n', null],
  ] as const) {
    it(`${name}: ${expected ?? 'none'}`, async () => assert.equal(await originOf(cgroup), expected));
  }
});
