import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, openDirectorySite, pairIsWhole, said, serialOf } from '../harness/directory-site.ts';
import { until } from '../harness/run.ts';
import { skip } from '../harness/world.ts';

/** Two renewals of a certificate that lives for five minutes take six of them. */
const LONG = process.env.IDENTREE_LONG === '1';

const STOP = '/srv/enough';
/** Somebody of the directory who runs sudo every two seconds, and says what came of each. */
const LOOP = `n=0; while [ ! -e ${STOP} ]; do n=$((n+1))
  if said=$(sudo -n touch /srv/mark-minutes 2>&1); then echo "ran $n"; else echo "FAILED $n at $(date +%T): $said"; fi
  sleep 2; done`;

if (LONG)
  test('[W-10] certificates of five minutes are renewed twice by the agent alone, and no sudo of those minutes fails', {
    skip,
  }, async () => {
    const site = await openDirectorySite({
      env: { IDENTREE_MTLS_CERT_TTL: '5m' },
      policy: [{ name: 'by-itself', match_users: ['alice2'], approval: 'none' }],
    });
    try {
      const { host } = site;
      const set = await site.setup('--pam', 'sudo', '--sssd');
      assert.equal(set.code, 0, said(set));
      await known(host, 'alice2');
      await until('the rules of alice2', async () =>
        (await host.exec(['sudo', '-l', '-U', 'alice2'])).stdout.includes('(root) ALL'),
      );
      const sssd = () => host.sh('systemctl show -p MainPID --value sssd');
      const serials = [await serialOf(host)];
      const processes = [await sssd()];
      const looping = host.exec(['runuser', '-u', 'alice2', '--', 'sh', '-c', LOOP], { timeoutMs: 1_500_000 });
      looping.catch(() => undefined);
      while (serials.length < 3) {
        const before = serials.at(-1)!;
        await until('the agent to renew', async () => (await serialOf(host)) !== before, 600_000);
        await pairIsWhole(host);
        const last = processes.at(-1)!;
        await until('sssd to have read the new files', async () => (await sssd()) !== last, 90_000);
        serials.push(await serialOf(host));
        processes.push(await sssd());
      }
      // The first one has ended meanwhile: the directory lets in whom the newest one brings.
      await site.people('alice2', 'bob2', 'carol2');
      await known(host, 'carol2');
      await host.sh(`touch ${STOP}`);
      const lines = (await looping).stdout.trim().split('\n');
      assert.deepEqual(
        lines.filter((line) => !line.startsWith('ran ')),
        [],
      );
      assert.ok(lines.length > 20, `${lines.length} sudos`);
      const doctor = await host.exec(['identree', 'doctor']);
      assert.equal(doctor.code, 0, said(doctor));
      assert.match(doctor.stdout, /^Certificate +until .* UTC, \d minutes? left$/m);
    } finally {
      await site.close();
    }
  });
