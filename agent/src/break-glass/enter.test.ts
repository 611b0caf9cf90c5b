import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { createVoice } from '../gate/terminal-text.ts';
import { stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { connectPlugin, SUDO_ID } from '../testing/fake-plugin.ts';
import { createTestGate, TEST_BUILD, type TestGate } from '../testing/test-gate.ts';
import { hashPassword } from './bcrypt.ts';
import { type BreakGlassDeps, createBreakGlass, type Entry } from './enter.ts';
import { writeHashFile } from './hash-file.ts';

const PASSWORD = 'otter-maple-violin-cactus';
const PROMPT = 'Break-glass password: ';

const record = sampleRecord({ hostId: '5c7bb2bb-2f4a-4c57-9d61-0dbb40f5e1a9' });

/** The door alone, with a password that is never hashed. */
function door(change: Partial<BreakGlassDeps> = {}) {
  const said: string[] = [];
  const steps: string[] = [];
  const typed = Buffer.from(PASSWORD);
  const gone = new AbortController();
  const breakGlass = createBreakGlass({
    ready: async () => true,
    attempts: {
      wait: async () => 0,
      begin: async () => {
        steps.push('counted');
        return 0;
      },
      right: async () => void steps.push('cleared'),
    },
    journal: { append: async (outcome) => void steps.push(`journal: ${outcome}`) },
    verify: async (password) => {
      steps.push('looked at');
      return Buffer.from(password).equals(Buffer.from(PASSWORD));
    },
    contact: null,
    clock: systemClock,
    log: silentLog,
    ...change,
  });
  const entry: Entry = {
    record,
    voice: createVoice((line) => void said.push(line), { cols: 200, rows: 24, term: '', locale: '' }),
    prompt: async () => typed,
    last: { unchanged: async () => true },
    signal: gone.signal,
  };
  return { breakGlass, entry, said, steps, typed, gone };
}

const isWiped = (bytes: Buffer) => bytes.every((byte) => byte === 0);

describe('the door without a server', () => {
  it('a try is counted, then looked at, then written down, and only then let in', async () => {
    const d = door();
    assert.equal((await d.breakGlass.enter(d.entry)).kind, 'granted');
    assert.deepEqual(d.steps, ['counted', 'looked at', 'journal: opened', 'cleared']);
    assert.ok(isWiped(d.typed));
  });

  it('[E-B11] a wrong one is counted and written down', async () => {
    const d = door({ verify: async () => false });
    assert.equal((await d.breakGlass.enter(d.entry)).kind, 'refused');
    assert.deepEqual(d.steps, ['counted', 'journal: wrong']);
    assert.ok(isWiped(d.typed));
    assert.match(d.said.join(), /not the break-glass password/);
  });

  it('whoever has to wait is not asked', async () => {
    const d = door({ attempts: { wait: async () => 8000, begin: async () => 0, right: async () => undefined } });
    d.entry.prompt = () => assert.fail('asked');
    assert.equal((await d.breakGlass.enter(d.entry)).kind, 'refused');
    assert.match(d.said.join(), /Try again in 8 s/);
  });

  it('[E-B11] whoever has to wait since has typed in vain: not even the right password is looked at', async () => {
    const d = door({ attempts: { wait: async () => 0, begin: async () => 2000, right: async () => undefined } });
    assert.equal((await d.breakGlass.enter(d.entry)).kind, 'refused');
    assert.deepEqual(d.steps, []);
    assert.ok(isWiped(d.typed));
  });

  const failures: [string, Partial<BreakGlassDeps>][] = [
    [
      'cannot be counted',
      {
        attempts: { wait: async () => 0, begin: () => Promise.reject(new Error('disk')), right: async () => undefined },
      },
    ],
    ['cannot be written down', { journal: { append: () => Promise.reject(new Error('disk full')) } }],
    [
      'whose count cannot be cleared',
      { attempts: { wait: async () => 0, begin: async () => 0, right: () => Promise.reject(new Error('disk')) } },
    ],
  ];
  for (const [who, change] of failures) {
    it(`who ${who} is not let in`, async () => {
      const d = door(change);
      await assert.rejects(d.breakGlass.enter(d.entry));
      assert.ok(isWiped(d.typed));
    });
  }

  it('more than bcrypt reads is not the password that it begins with', async () => {
    const d = door({ verify: async () => true });
    d.entry.prompt = async () => Buffer.from('x'.repeat(73));
    assert.equal((await d.breakGlass.enter(d.entry)).kind, 'refused');
  });

  it('nothing typed is no try; nor is a hook that has nobody to ask', async () => {
    for (const typed of [Buffer.alloc(0), undefined]) {
      const d = door();
      d.entry.prompt = async () => typed;
      assert.notEqual((await d.breakGlass.enter(d.entry)).kind, 'granted');
      assert.deepEqual(d.steps, []);
    }
  });

  it('who has gone, or whose command has changed, is not let in with the right password either', async () => {
    const gone = door();
    gone.entry.last = {
      unchanged: async () => {
        gone.gone.abort('hangup');
        return true;
      },
    };
    assert.equal((await gone.breakGlass.enter(gone.entry)).kind, 'cancelled');
    const changed = door();
    changed.entry.last = { unchanged: async () => false };
    assert.equal((await changed.breakGlass.enter(changed.entry)).kind, 'refused');
    const stopped = door();
    stopped.entry.last = { ready: async () => false, unchanged: async () => true };
    assert.equal((await stopped.breakGlass.enter(stopped.entry)).kind, 'cancelled');
    for (const { steps } of [gone, changed, stopped]) assert.ok(!steps.includes('journal: opened'));
  });
});

async function deadServer(options: Parameters<typeof createTestGate>[0] = {}) {
  const gate = await createTestGate(options);
  const file = join(gate.dir, 'identree-breakglass');
  await writeHashFile(file, 'web1', {
    hash: await hashPassword(Buffer.from(PASSWORD), 10),
    createdAt: Date.now(),
    type: 'passphrase',
    escrowId: null,
    sealedTo: null,
  });
  await gate.server.close();
  return { gate, file };
}

const outcomes = async (gate: TestGate) => (await gate.host.journal.unreported()).map(({ outcome }) => outcome);

const pluginHello = (gate: TestGate) => ({
  v: 1,
  mode: 'sudo-check',
  build: TEST_BUILD,
  api: '1.21',
  pid: gate.parent.pid,
  pstart: gate.parent.startTime,
  fg: 1,
  intercepted: 0,
});

// Each waits for a server that does not answer, so they wait together.
const SHORT = { timeout: 120_000, concurrency: 8 };

describe('with and without a server', SHORT, () => {
  describe('the gate with a dead server', SHORT, () => {
    it('[E-F1] the right password runs sudo, and nothing but the hash and the journal says so', async () => {
      const { gate } = await deadServer({ environ: { LANG: 'C.UTF-8', SUDO_REASON: 'disk is full' } });
      await using _ = gate;
      const hook = gate.sudo();
      await hook.says(PROMPT);
      hook.type(PASSWORD);
      const { granted, text } = await hook.result;
      assert.equal(granted, true, text);
      const [entry, ...more] = await gate.host.journal.unreported();
      assert.deepEqual(more, []);
      assert.equal(entry?.outcome, 'opened');
      assert.equal(entry?.record.user, 'alice');
      assert.deepEqual(entry?.record.argv, ['sudo', 'true']);
      assert.equal(entry?.record.reason, 'disk is full');
      const found = spawnSync('grep', ['-rlF', PASSWORD, gate.dir], { encoding: 'utf8' });
      assert.deepEqual([found.status, found.stdout], [1, ''], 'no file of this host holds it');
    });

    it('[E-F2] a wrong one does not', async () => {
      const { gate } = await deadServer();
      await using _ = gate;
      const hook = gate.sudo();
      await hook.says(PROMPT);
      hook.type('otter-maple-violin-castle');
      const { granted, text } = await hook.result;
      assert.equal(granted, false);
      assert.match(text, /not the break-glass password/);
      assert.deepEqual(await outcomes(gate), ['wrong']);
      assert.ok(!gate.logged.join('\n').includes('otter'));
    });

    for (const [what, conf, remove] of [
      ['turned off', 'IDENTREE_BREAKGLASS_ENABLED=false\n', false],
      ['without a password', '', true],
    ] as const) {
      it(`[E-F3] ${what}: nobody is asked for one`, async () => {
        const { gate, file } = await deadServer({ conf });
        await using _ = gate;
        if (remove) await rm(file);
        const { granted, text } = await gate.sudo().result;
        assert.equal(granted, false);
        assert.match(text, /cannot be reached/);
        assert.doesNotMatch(text, /break-glass/i);
      });
    }

    it('the plugin is told yes when it will use it at once', async () => {
      const { gate } = await deadServer();
      await using _ = gate;
      const plugin = connectPlugin(gate.socket, pluginHello(gate), SUDO_ID);
      await plugin.says(PROMPT);
      plugin.send('S', PASSWORD);
      await plugin.asked;
      assert.equal(plugin.granted(), null);
      assert.deepEqual(await outcomes(gate), []);
      plugin.ready();
      assert.equal((await plugin.result).granted, true);
      assert.deepEqual(await outcomes(gate), ['opened']);
    });

    it('sudo -n, with which nobody is there, is refused as before', async () => {
      const { gate } = await deadServer();
      await using _ = gate;
      const lists = { ...SUDO_ID, settings: [...SUDO_ID.settings, 'noninteractive=true'] };
      const { granted, text } = await connectPlugin(gate.socket, pluginHello(gate), lists).result;
      assert.equal(granted, false);
      assert.doesNotMatch(text, /break-glass/i);
    });

    it('an ssh login asks for it behind Enter', async () => {
      const { gate } = await deadServer();
      await using _ = gate;
      const login = { service: 'sshd', tty: 'ssh', rhost: '203.0.113.5', ruser: null, ruid: null };
      const begin = gate.sudo({ ...login, mode: 'ssh-begin' });
      const begun = await begin.result;
      assert.equal(begun.granted, true, 'this is only the way to the prompt');
      assert.match(begun.text, /Press Enter, then type the break-glass password/);
      const wait = gate.sudo({ ...login, mode: 'ssh-wait' });
      await wait.says(PROMPT);
      wait.type(PASSWORD);
      assert.equal((await wait.result).granted, true);
      const again = await gate.sudo({ ...login, mode: 'ssh-wait' }).result;
      assert.equal(again.granted, false, 'once');
      const [entry] = await gate.host.journal.unreported();
      assert.equal(entry?.record.mode, 'login');
    });

    it('after wrong ones of others, the right one has to wait too', async () => {
      const { gate } = await deadServer();
      await using _ = gate;
      const alice = gate.sudo();
      await alice.says(PROMPT);
      const lastAt = Date.now();
      const users = { mallory: { failures: 12, lastAt } };
      const state = { v: 1, host: { failures: 12, lastAt }, users };
      await writeFile(stateFiles(gate.state).breakGlassAttempts, JSON.stringify(state), { mode: 0o600 });
      alice.type(PASSWORD);
      const { granted, text } = await alice.result;
      assert.equal(granted, false);
      assert.match(text, /Too many wrong break-glass passwords/);
      assert.deepEqual(await outcomes(gate), []);
    });

    it('who hangs up at the prompt has tried nothing', async () => {
      const { gate } = await deadServer();
      await using _ = gate;
      const hook = gate.sudo();
      await hook.says(PROMPT);
      hook.cancel('interrupt');
      assert.equal((await hook.result).granted, false);
      assert.deepEqual(await outcomes(gate), []);
      await assert.rejects(
        import('node:fs/promises').then(({ stat }) => stat(stateFiles(gate.state).breakGlassAttempts)),
      );
    });
  });

  describe('a server that lives is no reason for a password', SHORT, () => {
    async function living(status: number | 'reset' | 'once') {
      const gate = await createTestGate();
      const file = join(gate.dir, 'identree-breakglass');
      await writeHashFile(file, 'web1', {
        hash: `$2b$10$${'a'.repeat(53)}`,
        createdAt: 1,
        type: null,
        escrowId: null,
        sealedTo: null,
      });
      let calls = 0;
      gate.server.intercept = ({ path, response }) => {
        if (path !== '/challenges') return false;
        calls += 1;
        if (status === 'once' && calls > 1) return false;
        if (status === 'reset') response.destroy();
        else {
          response.writeHead(status === 'once' ? 503 : status);
          response.end();
        }
        return true;
      };
      return gate;
    }

    it('[E-F4] one that is back at the second try is asked', async () => {
      await using gate = await living('once');
      const hook = gate.sudo();
      await gate.server.approve(await gate.server.challenge());
      const { granted, text } = await hook.result;
      assert.equal(granted, true);
      assert.doesNotMatch(text, /break-glass/i);
    });

    for (const answer of [403, 500, 'reset'] as const) {
      it(`[E-F5] ${answer} is an answer of a living one`, async () => {
        await using gate = await living(answer);
        const { granted, text } = await gate.sudo().result;
        assert.equal(granted, false);
        assert.doesNotMatch(text, /break-glass/i);
      });
    }

    for (const answer of [502, 503, 504] as const) {
      it(`${answer} is no answer of one`, async () => {
        await using gate = await living(answer);
        const hook = gate.sudo();
        await hook.says(PROMPT);
        hook.cancel('interrupt');
        assert.equal((await hook.result).granted, false);
      });
    }

    it('one sign of life among failures is enough', async () => {
      await using gate = await living(502);
      const before = gate.server.intercept!;
      let calls = 0;
      gate.server.intercept = (call) => {
        if (call.path === '/challenges' && ++calls === 2) {
          call.response.destroy();
          return true;
        }
        return before(call);
      };
      const { granted, text } = await gate.sudo().result;
      assert.equal(granted, false);
      assert.doesNotMatch(text, /break-glass/i);
    });
  });
});
