import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { promisify } from 'node:util';
import { createRunCommand, type Limit } from '../../platform/run-command.ts';
import { enrolTestHost } from '../../testing/test-host.ts';
import { createTestSite } from '../../testing/test-site.ts';
import { type EscrowEntry, EscrowFailure } from '../backend.ts';
import { createCommandEscrow } from './command.ts';

const PASSWORD = 'correct-horse-battery-staple';
const entryOf = (hostname = 'web1.example.com'): EscrowEntry => ({ id: randomUUID(), hostId: randomUUID(), hostname });

describe('a command that keeps passwords', { timeout: 60_000 }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-command-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function script(text: string, options: { words?: string[]; limit?: Limit } = {}) {
    const path = join(folder, randomUUID());
    await writeFile(path, `#!/bin/sh\n${text}\n`);
    await chmod(path, 0o755);
    return createCommandEscrow({
      words: [path, ...(options.words ?? [])],
      env: { PATH: process.env.PATH ?? '/usr/bin', HOME: '/root', AWS_REGION: 'eu-central-1' },
      run: createRunCommand(options.limit),
    });
  }

  const refused = (work: Promise<unknown>, message: RegExp) =>
    assert.rejects(work, (error) => {
      assert.ok(error instanceof EscrowFailure);
      assert.match(error.message, message);
      assert.ok(!error.message.includes(PASSWORD));
      return true;
    });

  it('stores, gives back and removes, by the id that it made', async () => {
    const backend = await script(`
      store=${folder}/store; mkdir -p $store
      case $BREAKGLASS_ACTION in
        store) cat > $store/$BREAKGLASS_ID; echo "kept for $BREAKGLASS_HOSTNAME"; echo "item_id=$BREAKGLASS_ID" ;;
        retrieve) cat $store/$BREAKGLASS_ITEM_ID && echo ;;
        remove) rm $store/$BREAKGLASS_ITEM_ID ;;
      esac`);
    const [one, other] = [entryOf(), entryOf()];
    const where = await backend.store(one, PASSWORD);
    assert.deepEqual(where, { item: one.id });
    const there = await backend.store(other, 'another password');
    assert.equal(await backend.retrieve(one, where), PASSWORD);
    assert.equal(await backend.retrieve(other, there), 'another password');
    await backend.remove(one, where);
    assert.deepEqual(await readdir(join(folder, 'store')), [other.id]);
    await refused(backend.retrieve(one, where), /ended with 1/);
  });

  it('reads the password on standard input, and is told what it is about, and nothing else', async () => {
    const seen = join(folder, 'seen');
    const backend = await script(
      `tr '\\0' '\\n' < /proc/$$/environ > ${seen}; tr '\\0' '\\n' < /proc/$$/cmdline >> ${seen}`,
      {
        words: ['--team', '$HOME;id'],
      },
    );
    const entry = entryOf();
    await backend.store(entry, PASSWORD);
    const lines = (await readFile(seen, 'utf8')).split('\n');
    const variables = lines.filter((line) => /^[A-Z_]+=/.test(line)).filter((line) => !line.startsWith('PATH='));
    assert.deepEqual(variables.sort(), [
      'AWS_REGION=eu-central-1',
      'BREAKGLASS_ACTION=store',
      'BREAKGLASS_HOSTNAME=web1.example.com',
      `BREAKGLASS_HOST_ID=${entry.hostId}`,
      `BREAKGLASS_ID=${entry.id}`,
      'HOME=/root',
    ]);
    assert.ok(lines.includes('$HOME;id'), 'no shell has read it');
    assert.ok(!lines.join('\n').includes(PASSWORD), 'every account of the machine reads the arguments of others');
  });

  it('what it says on standard error goes nowhere: it may hold the password', async () => {
    const backend = await script('cat >&2; exit 3');
    await refused(backend.store(entryOf(), PASSWORD), /^the escrow command: it ended with 3$/);
  });

  /** A limit that is reached when the test says so. */
  function reached() {
    const { promise, resolve } = Promise.withResolvers<() => void>();
    const limit: Limit = (_ms, run) => {
      resolve(run);
      return () => undefined;
    };
    return { limit, reach: async () => (await promise)() };
  }

  /** What a script has written, once it is whole. */
  async function written(path: string, whole: RegExp): Promise<string> {
    for (;;) {
      const text = await readFile(path, 'utf8').catch(() => '');
      if (whole.test(text)) return text;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  it('one that does not end is ended, with all that it has started', async () => {
    const pids = join(folder, 'pids');
    const { limit, reach } = reached();
    const backend = await script(`sleep 1000 & echo $! $$ > ${pids}; wait`, { limit });
    const stored = refused(backend.store(entryOf(), PASSWORD), /did not end in 15 seconds/);
    const text = await written(pids, /^\d+ \d+\n$/);
    await reach();
    await stored;
    for (const pid of text.trim().split(' ')) {
      while (await isRunning(Number(pid))) await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  it('one that leaves something behind which holds its output is not waited for', async () => {
    const over = join(folder, 'over');
    const { limit, reach } = reached();
    const backend = await script(`sleep 1000 & echo over > ${over}; exit 0`, { limit });
    const asked = refused(backend.retrieve(entryOf(), {}), /did not end in 15 seconds/);
    await written(over, /^over\n$/);
    await reach();
    await asked;
  });

  it('nor is one whose output is held by what has left its group', async (t) => {
    const left = join(folder, 'left');
    const { limit, reach } = reached();
    const backend = await script(`setsid sh -c 'echo $$ > ${left}; exec sleep 1000' & exit 0`, { limit });
    const asked = refused(backend.retrieve(entryOf(), {}), /did not end in 15 seconds/);
    const pid = Number(await written(left, /^\d+\n$/));
    t.after(() => process.kill(pid, 'SIGKILL'));
    await reach();
    await asked;
    assert.ok(await isRunning(pid), 'it is what could have been waited for');
  });

  it('one for which there is no file descriptor left is a failure, and the server goes on', async () => {
    const program = `
      import { openSync, closeSync } from 'node:fs';
      import { createRunCommand } from ${JSON.stringify(new URL('../../platform/run-command.ts', import.meta.url).href)};
      const run = createRunCommand();
      const call = { words: ['/bin/echo', 'there'], env: {}, input: '' };
      console.log(await run(call));
      const open = [];
      try { for (;;) open.push(openSync('/dev/null')); } catch {}
      const why = await run(call).catch((error) => error.message);
      await new Promise(setImmediate);
      open.forEach((one) => closeSync(one));
      console.log(why, await run(call));`;
    const words = ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', program];
    const { stdout } = await promisify(execFile)('/bin/sh', words);
    assert.equal(stdout, 'there\n\nit could not be started (EMFILE) there\n\n');
  });

  it('one that prints without end is ended', async () => {
    const backend = await script('exec cat /dev/zero');
    await refused(backend.retrieve(entryOf(), {}), /printed too much/);
  });

  it('one that is not there, prints nothing or does not read is a failure or none, never a crash', async () => {
    const missing = createCommandEscrow({
      words: [join(folder, 'no-such')],
      env: {},
      run: createRunCommand(),
    });
    await refused(missing.store(entryOf(), PASSWORD), /could not be started \(ENOENT\)/);
    await refused((await script('exit 0')).retrieve(entryOf(), {}), /printed no password/);
    assert.deepEqual(await (await script('exec <&-; exit 0')).store(entryOf(), 'x'.repeat(200_000)), {});
    await refused((await script('kill -9 $$')).store(entryOf(), PASSWORD), /ended with SIGKILL/);
  });
});

test('a host hands its password over to the command, and an administrator is shown it; one that loses it keeps nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-command-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'keep');
  const write = (text: string) => writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await write(
    `case $BREAKGLASS_ACTION in store) cat > ${folder}/$BREAKGLASS_ID ;; retrieve) cat ${folder}/$BREAKGLASS_ID ;; esac`,
  );
  const site = await createTestSite(t, { driver: 'sqlite', env: { IDENTREE_ESCROW_COMMAND: path } });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const escrow = () => {
    const about = { id: randomUUID(), type: 'random', createdAt: site.clock.now() };
    return host.send('POST', '/break-glass/escrow', { ...about, password: PASSWORD });
  };
  assert.equal((await escrow()).status, 200);
  const browser = site.browser();
  await browser.signInFresh('dana', { groups: ['admins'] });
  const passkey = await browser.firstPasskey(site.authenticator());
  const about = { hostId: host.id, reason: 'the network is down' };
  const options = await browser.mutate('breakGlass.revealOptions', about);
  const assertion = passkey.assert(options.data as never);
  const shown = await browser.mutate<{ password: string }[]>('breakGlass.reveal', { ...about, assertion });
  assert.deepEqual(
    shown.data?.map(({ password }) => password),
    [PASSWORD],
  );
  await write('exit 0');
  assert.equal((await escrow()).body.error?.code, 'escrow_failed');
});

/** A process that has ended may still be in the table, until its parent has looked. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
  return stat !== null && !/^\d+ \(.*\) [ZX]/.test(stat);
}
