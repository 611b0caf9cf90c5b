import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EXIT } from '../exit-codes.ts';
import { silentLog } from '../platform/log.ts';
import { uninstall } from './uninstall.ts';

/** A host that has the package, and whose purging is refused, so that nothing of this machine is touched. */
function packaged({ named = '', undone = EXIT.ok as number } = {}) {
  const ran: string[] = [];
  const printed: string[] = [];
  const deps = {
    print: (line: string) => void printed.push(line),
    log: silentLog,
    run: async (program: string, args: readonly string[]) => {
      ran.push([program, ...args].join(' '));
      if (program === 'dpkg') return { code: 1, output: 'held' };
      return { code: 0, output: program === 'grep' ? named : '' };
    },
    undo: async () => undone,
  };
  return { deps, ran, printed, purged: () => ran.includes('dpkg --purge identree-agent') };
}

describe('identree uninstall', () => {
  it('purges the package once setup is undone, and says why that did not work', async () => {
    const { deps, purged, printed } = packaged();
    await assert.rejects(uninstall({ dryRun: false }, deps), /dpkg did not remove identree-agent: held/);
    assert.equal(purged(), true);
    assert.deepEqual(printed, [], 'what was not removed is not told as if it was');
  });

  it('removes nothing while sudo or PAM still name its files', async () => {
    const { deps, purged } = packaged({ named: '/etc/sudo.conf\n/etc/pam.d/su' });
    await assert.rejects(uninstall({ dryRun: false }, deps), /still named in \/etc\/sudo\.conf, \/etc\/pam\.d\/su\./);
    assert.equal(purged(), false);
  });

  it('removes nothing when setup cannot be undone', async () => {
    const { deps, purged } = packaged({ undone: EXIT.failed });
    assert.equal(await uninstall({ dryRun: false }, deps), EXIT.failed);
    assert.equal(purged(), false);
  });

  it('--dry-run removes nothing', async () => {
    const { deps, purged, printed } = packaged();
    assert.equal(await uninstall({ dryRun: true }, deps), EXIT.ok);
    assert.equal(purged(), false);
    assert.deepEqual(printed, [
      'package identree-agent (removed)',
      '/etc/identree (removed)',
      '/var/lib/identree (removed)',
      '/etc/identree-breakglass (removed)',
    ]);
  });
});
