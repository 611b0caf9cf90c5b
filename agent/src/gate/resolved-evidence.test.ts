import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { createParts } from './plugin-parts.ts';
import { resolvedEvidence } from './resolved-evidence.ts';
import { shownArgv } from './shown-argv.ts';

const COMMAND = 'command=/usr/bin/true\0runas_uid=0\0runas_gid=0\0runas_user=root\0';
const PIECE = 8191;

/** What sudo tells of a command with these arguments and this environment. */
function told(argv: string, environment: string) {
  const parts = createParts();
  for (const [letter, list] of [
    ['u', 'user=alice\0uid=1000\0cwd=/\0'],
    ['c', COMMAND],
    ['a', argv],
    ['e', environment],
  ] as const) {
    const bytes = Buffer.from(list);
    for (let at = 0; at < bytes.length; at += PIECE)
      assert.ok(parts.add(Buffer.concat([Buffer.from(letter), bytes.subarray(at, at + PIECE)])));
  }
  return parts.end();
}

const CONTEXT = { root: '', folder: '/', plugin: '1.21', intercepted: false, reason: null, locale: '', term: '' };
/** Takes three bytes, and eight when it is shown. */
const INVISIBLE = '\u202e'.repeat(4000);

describe('what nobody would be shown is not looked at, however much of it somebody hands on', () => {
  for (const [what, argv, environment] of [
    ['names of variables', 'true\0', `LC_${INVISIBLE.repeat(10)}=1\0`.repeat(2)],
    ['values of variables that are shown', 'true\0', `LD_PRELOAD=${INVISIBLE}\0`.repeat(20)],
    ['names of variables that are shown', 'true\0', `LD_${INVISIBLE}=1\0`.repeat(20)],
    ['arguments', `true\0${`${INVISIBLE}\0`.repeat(20)}`, ''],
  ] as const)
    it(what, async (t) => {
      const decode = t.mock.method(TextDecoder.prototype, 'decode');
      const evidence = await resolvedEvidence(told(argv, environment), CONTEXT);
      assert.ok(evidence);
      const shown = shownArgv(evidence.cmdline);
      // Each character costs two, and there are 80,000 in all.
      assert.ok(decode.mock.callCount() < 40_000, `${decode.mock.callCount()} characters were looked at`);
      assert.equal(shown.truncated || evidence.resolved!.environment.truncated || what.startsWith('values'), true);
      const sha256 = createHash('sha256').update(environment).digest('base64url');
      assert.equal(evidence.resolved!.environment.sha256, sha256, 'all of it counts');
    });

  it('a million arguments are counted, and not laid out beside each other', async () => {
    const evidence = await resolvedEvidence(told(`true\0${'\0'.repeat(1_000_000)}`, ''), CONTEXT);
    const { argv, truncated } = shownArgv(evidence!.cmdline);
    assert.deepEqual([argv.length, truncated], [1024, true]);
  });
});
