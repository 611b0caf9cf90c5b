import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createRunCommand, type Limit } from '../../platform/run-command.ts';
import { channelOf, signal } from '../testing/channel-kit.ts';
import { noticeOf } from '../testing/notices.ts';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-custom-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const custom = (command: string, limit?: Limit) =>
  channelOf('custom', {}, { env: { OPS: { command } }, run: createRunCommand(limit) });

/** What a command has written, once it is whole. */
async function written(path: string, whole: RegExp): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (whole.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
  return stat !== null && !/^\d+ \(.*\) [ZX]/.test(stat);
}

const gone = async (pid: number): Promise<void> => {
  while (await isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
};

test('[N-04] a command is told this and nothing else', async (t) => {
  const folder = await folderOf(t);
  process.env.IDENTREE_TEST_SECRET = 'not for it';
  t.after(() => delete process.env.IDENTREE_TEST_SECRET);
  const channel = custom(`env > ${folder}/new && mv ${folder}/new ${folder}/env`);
  assert.deepEqual(await channel.deliver(noticeOf({ actor: 'olga' }), signal()), { outcome: 'delivered' });
  const lines = (await readFile(join(folder, 'env'), 'utf8')).trim().split('\n');
  // A shell adds what it knows of itself.
  const told = lines.filter((line) => !/^(PATH|PWD|OLDPWD|SHLVL|_)=/.test(line));
  assert.deepEqual(told.sort(), [
    'HOME=/nonexistent',
    'NOTIFY_ACTOR=olga',
    'NOTIFY_APPROVAL_URL=https://identree.example.com/approve/ABCDEF-123456',
    'NOTIFY_CHANNEL=ops',
    'NOTIFY_COMMAND=/usr/bin/systemctl restart nginx',
    'NOTIFY_EVENT=challenge_created',
    'NOTIFY_EXPIRES_IN=90',
    `NOTIFY_HOSTNAME=web1.example.com`,
    `NOTIFY_ID=${noticeOf().id}`,
    'NOTIFY_MESSAGE=alice asked for an approval on web1.example.com (“ticket 4711”); the code is ABCDEF-123456.',
    'NOTIFY_ONETAP_URL=',
    'NOTIFY_REASON=ticket 4711',
    'NOTIFY_TIMESTAMP=2026-11-30T12:00:00Z',
    'NOTIFY_TITLE=Approval needed',
    'NOTIFY_USERNAME=alice',
    'NOTIFY_USER_CODE=ABCDEF-123456',
  ]);
});

test('[N-04] no shell reads a value, even where the command does not quote it', async (t) => {
  const folder = await folderOf(t);
  const channel = custom('echo $NOTIFY_REASON "$NOTIFY_USERNAME" >/dev/null');
  const attack = `x; touch ${folder}/owned; $(touch ${folder}/owned) \`touch ${folder}/owned\` && touch ${folder}/owned | x`;
  const notice = noticeOf({ username: attack, hostname: attack, reason: attack, actor: attack });
  assert.deepEqual(await channel.deliver(notice, signal()), { outcome: 'delivered' });
  assert.ok(!existsSync(join(folder, 'owned')));
});

test('[N-04] one that takes too long, or is stopped, ends with all that it has started', async (t) => {
  const folder = await folderOf(t);
  const script = (name: string) => `sleep 1000 & echo $! $$ > ${folder}/${name}; wait`;
  const reached = Promise.withResolvers<() => void>();
  const limited = custom(script('limit'), (_ms, run) => {
    reached.resolve(run);
    return () => undefined;
  });
  const came = limited.deliver(noticeOf(), signal());
  const pids = (await written(join(folder, 'limit'), /^\d+ \d+\n$/)).trim().split(' ');
  (await reached.promise)();
  assert.deepEqual(await came, {
    outcome: 'later',
    reason: 'the command: it did not end in 15 seconds',
    retryMs: null,
  });
  for (const pid of pids) await gone(Number(pid));

  const stop = new AbortController();
  const stopped = custom(script('stop')).deliver(noticeOf(), stop.signal);
  const others = (await written(join(folder, 'stop'), /^\d+ \d+\n$/)).trim().split(' ');
  stop.abort();
  assert.deepEqual(await stopped, { outcome: 'later', reason: 'the command: it was stopped', retryMs: null });
  for (const pid of others) await gone(Number(pid));
});

test('[N-04] how long one may take is what the server was told', async () => {
  const channel = channelOf(
    'custom',
    {},
    { env: { OPS: { command: 'sleep 1000' } }, run: createRunCommand(undefined, 300) },
  );
  assert.deepEqual(await channel.deliver(noticeOf(), signal()), {
    outcome: 'later',
    reason: 'the command: it did not end in 0.3 seconds',
    retryMs: null,
  });
});

test('[N-04] one that prints without end is ended, and what it prints is told to nobody', async () => {
  const endless = await custom('exec cat /dev/zero').deliver(noticeOf(), signal());
  assert.deepEqual(endless, { outcome: 'later', reason: 'the command: it printed too much', retryMs: null });
  const failing = await custom('echo S3CRET; echo S3CRET >&2; exit 7').deliver(noticeOf(), signal());
  assert.deepEqual(failing, { outcome: 'later', reason: 'the command: it ended with 7', retryMs: null });
});

test('[N-04] values that no kernel would pass on are cut', async () => {
  const long = '漢'.repeat(500_000);
  const notice = noticeOf({ username: long, hostname: long, reason: long, actor: long });
  assert.deepEqual(await custom('exit 0').deliver(notice, signal()), { outcome: 'delivered' });
});
