import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../platform/clock.ts';
import { shareWithSssd } from './share.ts';
import { createCertificateStore } from './store.ts';

const skip = process.geteuid?.() === 0 ? false : 'only root gives folders away';

describe('where sssd runs as an account of its own', { skip }, () => {
  it('its group can read the key, also of certificates that the agent gets later; nobody else can', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'identree-share-'));
    try {
      const folder = join(dir, 'tls');
      await mkdir(folder, { mode: 0o755 });
      let user = 'daemon';
      const run = async (program: string) => ({ code: 0, output: program === 'id' ? '1' : user });
      const store = createCertificateStore({ folder, lock: join(dir, 'lock'), clock: systemClock });
      assert.equal(await shareWithSssd(folder, run), true);
      assert.equal(await shareWithSssd(folder, run), false, 'only once');
      await store.put({ certificate: 'c', key: 'k', ca: 'a' });
      const key = () => stat(join(folder, 'current', 'client.key'));
      assert.deepEqual([(await key()).mode & 0o777, (await key()).uid, (await key()).gid], [0o640, 0, 1]);

      user = 'root';
      assert.equal(await shareWithSssd(folder, run), true);
      await store.put({ certificate: 'c', key: 'k', ca: 'a' });
      assert.deepEqual([(await key()).mode & 0o777, (await key()).gid], [0o600, 0]);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
