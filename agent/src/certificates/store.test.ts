import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../platform/clock.ts';
import { UntrustedFile } from '../state/trusted-file.ts';
import { type CertificateSet, createCertificateStore } from './store.ts';

/** Sets that can be told apart, and whose parts show which set they belong to. */
const set = (n: number): CertificateSet => ({ certificate: `certificate ${n}\n`, key: `key ${n}\n`, ca: `ca ${n}\n` });

async function place() {
  const dir = await mkdtemp(join(tmpdir(), 'identree-certificates-'));
  const folder = join(dir, 'tls');
  const lock = join(dir, 'lock');
  return {
    folder,
    lock,
    store: createCertificateStore({ folder, lock, clock: systemClock }),
    /** As sssd reads: two paths, one after the other. */
    seen: async () => {
      const read = (name: string) => readFile(join(folder, 'current', name), 'utf8').catch(() => 'none');
      return `${await read('client.crt')}${await read('client.key')}${await read('ca.crt')}`;
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

const text = (n: number) => Object.values(set(n)).join('');

describe('where certificate and key are kept', () => {
  it('a new set takes the place of the old one, which stays until the next', async () => {
    await using p = await place();
    assert.equal(await p.store.current(), null);
    assert.equal(await p.store.put(set(1)), null);
    assert.deepEqual(await p.store.current(), set(1));
    const first = await readlink(join(p.folder, 'current'));
    await p.store.put(set(2));
    assert.equal(await p.seen(), text(2));
    assert.ok((await readdir(p.folder)).includes(first), 'the old pair is still there');
    await p.store.put(set(3));
    assert.deepEqual((await readdir(p.folder)).includes(first), false, 'and gone with the one after');
    assert.equal((await readdir(p.folder)).length, 3);
  });

  it('[E-S8] the key is for root alone; the certificates are for everybody', async () => {
    await using p = await place();
    await p.store.put(set(1));
    const mode = async (name: string) => (await stat(join(p.folder, 'current', name))).mode & 0o7777;
    assert.equal(await mode('client.key'), 0o600);
    assert.equal(await mode('client.crt'), 0o644);
    assert.equal(await mode('ca.crt'), 0o644);
    assert.equal(await mode('.'), 0o755);
    assert.equal((await lstat(p.folder)).mode & 0o7777, 0o755);
  });

  it('in a folder that setup gave to the group of sssd, that group can read the key', async () => {
    await using p = await place();
    await mkdir(p.folder);
    await chmod(p.folder, 0o2755);
    await p.store.put(set(1));
    const info = await stat(join(p.folder, 'current', 'client.key'));
    assert.equal(info.mode & 0o777, 0o640);
    assert.equal(info.gid, (await stat(p.folder)).gid);
  });

  it('what is not accepted is not used, and its key does not stay', async () => {
    await using p = await place();
    await p.store.put(set(1));
    let shown = '';
    const problem = await p.store.put(set(2), async (folder) => {
      shown = await readFile(join(folder, 'client.key'), 'utf8');
      return 'the directory does not take it';
    });
    assert.equal(problem, 'the directory does not take it');
    assert.equal(shown, set(2).key, 'it could be tried');
    assert.equal(await p.seen(), text(1));
    assert.equal((await readdir(p.folder)).length, 2);
  });

  it('two at once: one after the other, and the last one counts', async () => {
    await using p = await place();
    const other = createCertificateStore({ folder: p.folder, lock: p.lock, clock: systemClock });
    let switched = false;
    const slow = p.store.put(set(1), async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      switched = true;
      return null;
    });
    await other.put(set(2), async () => {
      assert.ok(switched, 'the first one was finished before the second one began');
      return null;
    });
    await slow;
    assert.equal(await p.seen(), text(2));
  });

  it('a folder or file that somebody else can write is not believed', async () => {
    await using p = await place();
    await p.store.put(set(1));
    await chmod(join(p.folder, 'current', 'client.crt'), 0o666);
    await assert.rejects(p.store.current(), UntrustedFile);
    await chmod(p.folder, 0o777);
    await assert.rejects(p.store.put(set(2)), UntrustedFile);
  });

  it('a link that leads elsewhere leads nowhere', async () => {
    await using p = await place();
    await mkdir(p.folder, { recursive: true });
    const elsewhere = join(p.folder, '..', 'elsewhere');
    await mkdir(elsewhere);
    for (const name of ['client.crt', 'client.key', 'ca.crt']) await writeFile(join(elsewhere, name), 'x');
    await symlink('../elsewhere', join(p.folder, 'current'));
    assert.equal(await p.store.current(), null);
  });

  it('killed at any step, sssd finds a pair that belongs together, and the next time works', async () => {
    await using p = await place();
    await p.store.put(set(1));
    const seen = new Set<string>();
    let steps = 0;
    for (let n = 1; ; n += 1) {
      const script = `
        import { crashBefore } from ${JSON.stringify(join(import.meta.dirname, '../testing/crash-at.ts'))};
        const { createCertificateStore } = await import(${JSON.stringify(join(import.meta.dirname, 'store.ts'))});
        const { systemClock } = await import(${JSON.stringify(join(import.meta.dirname, '../platform/clock.ts'))});
        await crashBefore(${n});
        const store = createCertificateStore({ folder: ${JSON.stringify(p.folder)}, lock: ${JSON.stringify(p.lock)}, clock: systemClock });
        await store.put(${JSON.stringify(set(2))});`;
      const child = spawnSync(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
        {
          encoding: 'utf8',
          cwd: join(import.meta.dirname, '../../..'),
        },
      );
      assert.ok(child.signal === 'SIGKILL' || child.status === 0, child.stderr);
      const now = await p.seen();
      assert.ok([text(1), text(2)].includes(now), `killed before step ${n}: ${now}`);
      seen.add(now);
      assert.deepEqual(await p.store.current(), now === text(1) ? set(1) : set(2));
      if (child.status === 0) break;
      steps += 1;
      await p.store.put(set(1));
      assert.ok((await readdir(p.folder)).length <= 3, 'what a crash left behind is cleared away');
    }
    assert.ok(steps > 15, `${steps} steps`);
    assert.equal(seen.size, 2, 'it was killed before and after the switch');
  });
});
