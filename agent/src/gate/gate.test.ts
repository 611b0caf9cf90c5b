import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Verdict } from '#shared/decision.ts';
import { tokenType } from '#shared/token.ts';
import { writeHashFile } from '../break-glass/hash-file.ts';
import { type ContradictionKind, contradicted } from '../state/checkpoint.ts';
import { approveByPolicy } from '../testing/approve-by-policy.ts';
import { connectHook, frame } from '../testing/fake-hook.ts';
import { createServerKey, type FakeChallenge, type FakeServer } from '../testing/fake-server.ts';
import { createPasskey } from '../testing/passkey.ts';
import { tellDefaults } from '../testing/tell-defaults.ts';
import { createTestGate, type TestGate } from '../testing/test-gate.ts';

/** Until something is so; the caller's test time limit is the bound. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** What the agent finds out beside the decisions: the log is not the one that this host has seen. */
const contradict = ({ host }: TestGate, kind: ContradictionKind): Promise<void> =>
  host.checkpoints.keep(contradicted(host.checkpoints.current(), kind, { seq: 9 }, 1));

// Most of the time here is waiting, so the tests of a group wait together.
const SHORT = { timeout: 120_000, concurrency: 6 };

describe('gate: the way to a yes', SHORT, () => {
  it('[E-P2] shows where, who, link, code and time, then says yes once a signed approval arrives', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await hook.says('ABCDEF-123456');
    await gate.server.approve(challenge);
    const result = await hook.result;
    assert.equal(result.granted, true);
    assert.equal(result.trailing, 0, 'nothing follows the verdict');
    assert.ok(result.alive >= 1);
    for (const words of [
      new URL(gate.server.url).host,
      'you or an administrator',
      '/approve/ABCDEF-123456',
      'Time left: 60 s',
      'Approved by dana.',
    ]) {
      assert.ok(result.text.includes(words), `${words} in:\n${result.text}`);
    }
    for (const line of result.text.split('\n')) assert.ok(line === '' || line.startsWith('  '), `indented: "${line}"`);
  });

  it('leaves room for what sudo-rs puts before each line', async () => {
    await using gate = await createTestGate();
    gate.policy.now = { ...gate.policy.now!, kind: 'sudo-rs' };
    const hook = gate.sudo({ cols: 30 });
    await gate.server.approve(await gate.server.challenge());
    const { granted, text } = await hook.result;
    assert.equal(granted, true);
    for (const line of text.split('\n'))
      assert.ok(line.includes('http://') || `[sudo] ${line}`.length <= 30 || !/ \S+ /.test(line), line);
  });

  it('under sudo-rs, -n waits for nobody and makes no request, unless the host says that it may', async () => {
    const start = async (conf: string, argv: string[]) => {
      const gate = await createTestGate({ conf, argv });
      gate.policy.now = { ...gate.policy.now!, kind: 'sudo-rs' };
      return gate;
    };
    await using refusing = await start('', ['sudo', '-n', 'true']);
    const { granted, text } = await refusing.sudo().result;
    assert.equal(granted, false);
    assert.match(text.replace(/\s+/g, ' '), /sudo -n does not wait.*IDENTREE_NONINTERACTIVE=ask/);
    assert.equal(refusing.server.calls.find(({ path }) => path === '/challenges')?.body?.mayWait, false);
    await using asking = await start('IDENTREE_NONINTERACTIVE=ask\n', ['sudo', '-n', 'true']);
    const waiting = asking.sudo();
    await asking.server.approve(await asking.server.challenge());
    assert.equal((await waiting.result).granted, true);
    await using command = await start('', ['sudo', 'grep', '-n', 'x']);
    const ordinary = command.sudo();
    await command.server.approve(await command.server.challenge());
    assert.equal((await ordinary.result).granted, true);
  });

  it('reports the use after the hook has the verdict', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    assert.equal((await hook.result).granted, true);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'granted', detail: null }]);
  });

  it('reports the use again when the server does not take it the first time', async () => {
    await using gate = await createTestGate();
    let failures = 1;
    gate.server.intercept = ({ path, response }) => {
      if (!path.endsWith('/outcome') || failures === 0) return false;
      failures -= 1;
      gate.server.refuse(response, 503, 'unavailable', 'later');
      return true;
    };
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    assert.equal((await hook.result).granted, true);
    await until(() => challenge.outcomes.length > 0);
  });

  it('an approval by policy needs no link', async () => {
    await using gate = await createTestGate();
    approveByPolicy(gate.server);
    const result = await gate.sudo().result;
    assert.equal(result.granted, true);
    assert.equal(result.text, '  Approved by policy.\n');
    assert.equal(gate.server.calls.filter(({ method }) => method === 'GET').length, 0, 'no poll');
  });

  it('takes a newer approver-key set from the answer, so that a new passkey works at once', async () => {
    await using gate = await createTestGate();
    const fresh = createPasskey(gate.server.person);
    gate.server.approverKeys = { version: 2, keys: [fresh.key] };
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge, (verdict) => ({
      ...verdict,
      evidence: [fresh.assert(verdict.evidence[0]!.document)],
    }));
    assert.equal((await hook.result).granted, true);
  });
});

describe('gate: a verified no', SHORT, () => {
  it('a denial ends the wait and shows who and why', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    await gate.server.deny(await gate.server.challenge(), 'not on a Friday');
    const result = await hook.result;
    assert.equal(result.granted, false);
    assert.match(result.text, /Denied by dana: not on a Friday/);
  });

  it('names whom to call, where an operator has said it', async () => {
    const conf = 'IDENTREE_CONTACT="Operations, +49 89 1234"\n';
    await using gate = await createTestGate({ conf });
    const hook = gate.sudo();
    await gate.server.deny(await gate.server.challenge(), 'not on a Friday');
    assert.match((await hook.result).text, /\n {2}Denied by dana: not on a Friday\. Help: Operations, \+49 89 1234\n$/);
    await using german = await createTestGate({ conf, environ: { LANG: 'de_DE.UTF-8' } });
    german.server.ttlMs = 1;
    const { text } = await german.sudo().result;
    assert.match(
      text.replace(/\s+/g, ' '),
      /Abgelaufen: Niemand hat rechtzeitig geantwortet\. Hilfe: Operations, \+49 89 1234 $/,
    );
  });

  it('speaks the language of the caller', async () => {
    await using gate = await createTestGate({ environ: { LC_ALL: 'de_AT.UTF-8', LANG: 'en_US.UTF-8' } });
    const hook = gate.sudo();
    await gate.server.deny(await gate.server.challenge());
    assert.match((await hook.result).text, /Abgelehnt von dana/);
  });

  it('whatever a server says cannot move the cursor or colour the screen', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    await gate.server.deny(await gate.server.challenge(), 'a\u001b[2Jb\u202ec\rd\u0007');
    const { text } = await hook.result;
    assert.match(text, /a\[2Jbc d/);
    assert.doesNotMatch(text, /[\u001b\u202e\r\u0007]/);
  });

  for (const [decision, words] of [
    ['expired', /Expired/],
    ['cancelled', /Cancelled on the server/],
  ] as const) {
    it(`${decision} refuses`, async () => {
      await using gate = await createTestGate();
      const hook = gate.sudo();
      const challenge = await gate.server.challenge();
      const verdict = await gate.server.verdict(challenge, (payload) => ({
        ...payload,
        decision,
        class: null,
        evidence: [],
        approvers: [],
      }));
      gate.server.decide(challenge, decision, verdict);
      const result = await hook.result;
      assert.equal(result.granted, false);
      assert.match(result.text, words);
    });
  }

  it('an approval of a class below the local minimum refuses', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_MINIMUM_CLASS=passkey\n' });
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge, (verdict) => ({ ...verdict, class: 'session', evidence: [] }));
    const result = await hook.result;
    assert.equal(result.granted, false);
    assert.match(result.text.replace(/\s+/g, ' '), /stronger kind of approval: a passkey/);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'class_too_low' }]);
  });
});

describe('gate: an answer that cannot be verified is no answer', SHORT, () => {
  const forge = (change: (verdict: Verdict) => Verdict) => (server: FakeServer, challenge: FakeChallenge) =>
    server.verdict(challenge, change);
  const documentOf = (verdict: Verdict) => verdict.evidence[0]!.document;
  const cases: Record<string, (server: FakeServer, challenge: FakeChallenge) => Promise<string>> = {
    'signed by another key': async (server, challenge) => server.verdict(challenge, undefined, await createServerKey()),
    'another key with the id of the real one': async (server, challenge) =>
      server.verdict(challenge, undefined, {
        kid: server.verdictKey.kid,
        privateKey: (await createServerKey()).privateKey,
      }),
    'signed by the trust root': (server, challenge) => server.verdict(challenge, undefined, server.trustRoot),
    'of another purpose': (server, challenge) =>
      server.verdict(challenge, undefined, undefined, tokenType.approverKeys),
    'a tampered payload': async (server, challenge) => {
      const [head, , signature] = (await server.verdict(challenge)).split('.');
      const payload = Buffer.from(
        JSON.stringify({
          ...JSON.parse(Buffer.from((await server.verdict(challenge)).split('.')[1]!, 'base64url').toString()),
          grace: 9,
        }),
      );
      return `${head}.${payload.toString('base64url')}.${signature}`;
    },
    'not a token at all': async () => 'approved',
    'of another server': forge((verdict) => ({ ...verdict, iss: '00000000-0000-4000-8000-000000000000' })),
    'for another host': forge((verdict) => ({ ...verdict, aud: '00000000-0000-4000-8000-000000000000' })),
    'with another nonce': forge((verdict) => ({ ...verdict, nonce: 'A'.repeat(43) })),
    'of another request': forge((verdict) => ({ ...verdict, requestHash: 'A'.repeat(43) })),
    'of another challenge': forge((verdict) => ({ ...verdict, challengeId: 'f'.repeat(32) })),
    'out of date': forge((verdict) => ({ ...verdict, exp: verdict.iat - 120 })),
    'passkey without an assertion': forge((verdict) => ({ ...verdict, evidence: [] })),
    'passkey of nobody': forge((verdict) => ({ ...verdict, approvers: [] })),
    'with the assertion of somebody else': forge((verdict) => ({
      ...verdict,
      approvers: [{ ...verdict.approvers[0]!, subject: 'mallory' }],
    })),
    'by a passkey that is not in the set': (server, challenge) =>
      server.verdict(challenge, (verdict) => ({
        ...verdict,
        evidence: [createPasskey(server.person).assert(documentOf(verdict))],
      })),
    'with an assertion about another request': (server, challenge) =>
      server.verdict(challenge, (verdict) => ({
        ...verdict,
        evidence: [server.passkey.assert({ ...documentOf(verdict), requestHash: 'B'.repeat(43) })],
      })),
    'with an assertion from another origin': (server, challenge) =>
      server.verdict(challenge, (verdict) => ({
        ...verdict,
        evidence: [server.passkey.assert(documentOf(verdict), { origin: 'https://evil.example' })],
      })),
    'with an assertion for another relying party': (server, challenge) =>
      server.verdict(challenge, (verdict) => ({
        ...verdict,
        evidence: [server.passkey.assert(documentOf(verdict), { rpId: 'evil.example' })],
      })),
    'with an assertion without user verification': (server, challenge) =>
      server.verdict(challenge, (verdict) => ({
        ...verdict,
        evidence: [server.passkey.assert(documentOf(verdict), { userVerified: false })],
      })),
    'with a registration instead of an assertion': (server, challenge) =>
      server.verdict(challenge, (verdict) => ({
        ...verdict,
        evidence: [server.passkey.assert(documentOf(verdict), { type: 'webauthn.create' })],
      })),
  };
  for (const [name, make] of Object.entries(cases)) {
    it(`${name}: ignored, told once, and a real denial still counts`, async () => {
      await using gate = await createTestGate();
      const hook = gate.sudo();
      const challenge = await gate.server.challenge();
      gate.server.decide(challenge, 'approved', await make(gate.server, challenge));
      await hook.says('could not be verified and was ignored');
      await until(() => challenge.polls >= 2);
      await gate.server.deny(challenge);
      const result = await hook.result;
      assert.equal(result.granted, false);
      assert.match(result.text, /Denied by dana/);
      assert.equal(result.text.match(/could not be verified/g)?.length, 1);
    });
  }

  it('a status without a verdict never lets a command run', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_TIMEOUT=5s\n' });
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    gate.server.decide(challenge, 'approved', null);
    const result = await hook.result;
    assert.equal(result.granted, false);
    assert.match(result.text, /Expired/);
    assert.ok(challenge.polls < 10, `backs off instead of hammering: ${challenge.polls} polls`);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'verdict_rejected: unsigned' }]);
  });

  it('as long as the server tells its hosts, a request waits, from the next one on', async () => {
    await using gate = await createTestGate();
    await tellDefaults(gate.server, gate.host, { timeoutMs: 5000 });
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    gate.server.decide(challenge, 'approved', null);
    assert.match((await hook.result).text, /Expired/);
  });

  it('the break-glass password opens nothing while the server tells its hosts to have none', async () => {
    await using gate = await createTestGate();
    const stored = { hash: `$2b$10$${'a'.repeat(53)}`, createdAt: Date.now(), type: 'random' };
    await writeHashFile(gate.host.conf.breakGlass.file, 'web1', { ...stored, escrowId: null, sealedTo: null });
    assert.equal(await gate.host.breakGlass.ready(), true);
    await tellDefaults(gate.server, gate.host, { breakGlassEnabled: false });
    assert.equal(await gate.host.breakGlass.ready(), false);
    await using on = await createTestGate({ conf: 'IDENTREE_BREAKGLASS_ENABLED=true\n' });
    await writeHashFile(on.host.conf.breakGlass.file, 'web1', { ...stored, escrowId: null, sealedTo: null });
    await tellDefaults(on.server, on.host, { breakGlassEnabled: false });
    assert.equal(await on.host.breakGlass.ready(), true, 'client.conf says that it is on');
  });

  it('one approval does not serve two identical requests', async () => {
    await using gate = await createTestGate();
    const first = gate.sudo();
    const one = await gate.server.challenge(0);
    const second = gate.sudo();
    const two = await gate.server.challenge(1);
    const verdict = await gate.server.verdict(one);
    gate.server.decide(two, 'approved', verdict);
    await second.says('ignored');
    gate.server.decide(one, 'approved', verdict);
    assert.equal((await first.result).granted, true);
    await gate.server.deny(two);
    assert.equal((await second.result).granted, false);
  });

  it('an older approver-key set does not bring a removed key back', async () => {
    await using gate = await createTestGate();
    const removed = createPasskey(gate.server.person);
    await gate.host.keys.offer(await gate.server.keySet(5, [gate.server.passkey.key]));
    const old = await gate.server.keySet(4, [removed.key, gate.server.passkey.key]);
    gate.server.intercept = null;
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    assert.equal(await gate.host.keys.offer(old), 'not_newer');
    await gate.server.approve(challenge, (verdict) => ({
      ...verdict,
      evidence: [removed.assert(documentOf(verdict))],
    }));
    await hook.says('ignored');
    hook.cancel('interrupt');
    assert.notEqual((await hook.result).granted, true);
  });
});

describe('gate: what runs must be what was approved', SHORT, () => {
  async function approveAfter(
    change: (gate: Awaited<ReturnType<typeof createTestGate>>, work: string) => Promise<void>,
    command = (work: string) => join(work, 'deploy'),
  ) {
    await using gate = await createTestGate();
    const work = join(gate.dir, 'work');
    await mkdir(work);
    await writeFile(join(work, 'deploy'), '#!/bin/sh\necho good\n', { mode: 0o755 });
    await gate.parent.setCmdline(['sudo', command(work)]);
    await gate.parent.setCwd(work);
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    assert.ok(challenge.record.target, 'the target is known');
    await change(gate, work);
    await gate.server.approve(challenge);
    const result = await hook.result;
    if (result.granted !== true) await until(() => challenge.outcomes.length > 0);
    return { result, challenge };
  }

  it('unchanged: yes', async () => {
    const { result } = await approveAfter(async () => undefined);
    assert.equal(result.granted, true);
  });

  const swaps: Record<string, (gate: Awaited<ReturnType<typeof createTestGate>>, work: string) => Promise<void>> = {
    'the script was edited': (_, work) => writeFile(join(work, 'deploy'), '#!/bin/sh\necho evil\n'),
    'the script was replaced by a file with the same bytes': async (_, work) => {
      await cp(join(work, 'deploy'), join(work, 'twin'));
      await rename(join(work, 'twin'), join(work, 'deploy'));
    },
    'the script became a link': async (_, work) => {
      await rename(join(work, 'deploy'), join(work, 'real'));
      await symlink('real', join(work, 'deploy'));
    },
    'the script lost its x bit': (_, work) => chmod(join(work, 'deploy'), 0o644),
    'the folder was swapped': async (gate, work) => {
      await rename(work, `${work}.old`);
      await cp(`${work}.old`, work, { recursive: true });
      await gate.parent.setCwd(work);
    },
    'the arguments changed': (gate, work) => gate.parent.setCmdline(['sudo', join(work, 'deploy'), '--evil']),
    'sudo now runs it as somebody else': async ({ policy }) => {
      policy.now = { ...policy.now!, runAsDefault: 'operator' };
    },
    'sudo now searches elsewhere': async ({ policy }) => {
      policy.now = { ...policy.now!, securePath: null };
    },
    'what sudo does cannot be told any more': async ({ policy }) => {
      policy.now = null;
    },
    'another process took the number': (gate) => gate.parent.setStartTime('778'),
    'the process ended': (gate) => gate.parent.end(),
  };
  for (const [name, swap] of Object.entries(swaps)) {
    it(`${name}: refused although approved, and the server is told`, async () => {
      const { result, challenge } = await approveAfter(swap);
      assert.equal(result.granted, false);
      assert.match(result.text, /changed while you waited/);
      assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'target_changed' }]);
    });
  }

  it('the same program in the same folder under another name: refused, its name is what was shown', async () => {
    const { result } = await approveAfter(
      async (gate, work) => {
        await rename(work, `${work}.other`);
        await gate.parent.setCwd(`${work}.other`);
      },
      () => '/bin/sh',
    );
    assert.equal(result.granted, false);
    assert.match(result.text, /changed while you waited/);
  });

  it('the same program in another folder under the same name: refused, its relative files are others', async () => {
    const { result } = await approveAfter(
      async (gate, work) => {
        await rename(work, `${work}.old`);
        await mkdir(work);
        await gate.parent.setCwd(work);
      },
      () => '/bin/sh',
    );
    assert.equal(result.granted, false);
    assert.match(result.text, /changed while you waited/);
  });
});

describe('gate: cancelled', SHORT, () => {
  for (const reason of ['interrupt', 'hangup', 'parent', 'signal']) {
    it(`by the hook (${reason}): withdrawn on the server`, async () => {
      await using gate = await createTestGate();
      const hook = gate.sudo();
      const challenge = await gate.server.challenge();
      await hook.says('ABCDEF-123456');
      hook.cancel(reason);
      await until(() => challenge.cancelled);
      assert.notEqual((await hook.result).granted, true);
    });
  }

  it('a hook that just goes away counts as cancelled', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await hook.says('ABCDEF-123456');
    hook.hangUp();
    await until(() => challenge.cancelled);
  });

  it('withdraws it again when the server does not take it the first time', async () => {
    await using gate = await createTestGate();
    let failures = 2;
    gate.server.intercept = ({ method, response }) => {
      if (method !== 'DELETE' || failures === 0) return false;
      failures -= 1;
      gate.server.refuse(response, 503, 'unavailable', 'later');
      return true;
    };
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await hook.says('ABCDEF-123456');
    hook.cancel('interrupt');
    await until(() => challenge.cancelled);
    assert.equal(failures, 0);
    assert.notEqual((await hook.result).granted, true);
  });

  it('while the request is on its way: withdrawn as soon as its number is known', async () => {
    await using gate = await createTestGate();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let arrived = false;
    gate.server.intercept = async ({ path }) => {
      if (path !== '/challenges') return false;
      arrived = true;
      await released;
      return false;
    };
    const hook = gate.sudo();
    await until(() => arrived);
    hook.cancel('interrupt');
    assert.notEqual((await hook.result).granted, true);
    release();
    await until(() => gate.server.challenges[0]?.cancelled === true);
  });

  it('an approval after the cancellation is not used', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    hook.cancel('interrupt');
    await until(() => challenge.cancelled);
    await gate.server.approve(challenge);
    assert.notEqual((await hook.result).granted, true);
    assert.ok(!challenge.outcomes.some(({ outcome }) => outcome === 'granted'));
  });

  it('a stopping agent tells those who wait', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_CONTACT=ops@example.com\n' });
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await hook.says('ABCDEF-123456');
    gate.stop.abort();
    const result = await hook.result;
    assert.equal(result.granted, false);
    assert.match(result.text.replace(/\s+/g, ' '), /is stopping.*Help: ops@example\.com/);
    await until(() => challenge.cancelled);
  });
});

describe('gate: the server', SHORT, () => {
  it('[E-P6] a 4xx refuses at once and shows the text, cleaned', async () => {
    await using gate = await createTestGate();
    gate.server.intercept = ({ path, response }) => {
      if (path !== '/challenges') return false;
      gate.server.refuse(response, 403, 'host_waiting', 'This host waits\u001b[1m for an operator.');
      return true;
    };
    const result = await gate.sudo().result;
    assert.equal(result.granted, false);
    assert.match(result.text, /refused: This host waits\[1m\s+for\s+an\s+operator\./);
    assert.equal(gate.server.calls.filter(({ path }) => path === '/challenges').length, 1);
  });

  it('a clock that is wrong is named', async () => {
    await using gate = await createTestGate();
    gate.server.intercept = ({ path, response }) => {
      if (path !== '/challenges') return false;
      gate.server.refuse(
        response,
        401,
        'clock_skew',
        'The host clock differs from the server clock. Set the clock (timedatectl) and try again.',
      );
      return true;
    };
    assert.match((await gate.sudo().result).text.replace(/\s+/g, ' '), /Set the clock \(timedatectl\)/);
  });

  it('not reachable: a few tries, each a request of its own, then refused in clear words', async () => {
    await using gate = await createTestGate();
    await gate.server.close();
    const started = performance.now();
    const result = await gate.sudo().result;
    assert.equal(result.granted, false);
    assert.match(result.text.replace(/\s+/g, ' '), /cannot be reached, so nobody can approve this/);
    assert.ok(performance.now() - started < 60_000, 'bounded');
  });

  it('a fast server is not talked about', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    await gate.server.approve(await gate.server.challenge());
    assert.doesNotMatch((await hook.result).text, /Asking|answered yet|Still trying/);
  });

  for (const [locale, asking, silent] of [
    [
      'C.UTF-8',
      'Asking {server} …',
      '{server} has not answered yet: it is slow, or a firewall is in between. Still trying.',
    ],
    [
      'de_DE.UTF-8',
      'Frage {server} …',
      '{server} hat noch nicht geantwortet: Der Server ist langsam, oder eine Firewall liegt dazwischen. Versuche es weiter.',
    ],
  ] as const) {
    it(`a slow server is named after a second, and what is wrong after three (${locale})`, async () => {
      await using gate = await createTestGate({ environ: { LANG: locale } });
      const { promise: silence, resolve: answer } = Promise.withResolvers<void>();
      gate.server.intercept = async ({ path }) => {
        if (path === '/challenges') await silence;
        return false;
      };
      const server = new URL(gate.server.url).host;
      const started = performance.now();
      const hook = gate.sudo({ cols: null, rows: null });
      await hook.says(asking.slice(0, 5));
      assert.ok(performance.now() - started >= 1000);
      await hook.says(silent.slice(-12));
      assert.ok(performance.now() - started >= 3000);
      answer();
      await gate.server.deny(await gate.server.challenge());
      const lines = (await hook.result).text.replace(/\n {2}(?=\S)/g, ' ').trim();
      const said = [asking, silent].map((words) => words.replace('{server}', server)).join(' ');
      assert.ok(lines.startsWith(said), lines);
    });
  }

  it('a server that answers after a second and a half is asked, and nothing is wrong with it', async () => {
    await using gate = await createTestGate();
    gate.server.intercept = async ({ path }) => {
      if (path === '/challenges') await new Promise((resolve) => setTimeout(resolve, 1500));
      return false;
    };
    const hook = gate.sudo();
    await gate.server.approve(await gate.server.challenge());
    const { text } = await hook.result;
    assert.match(text, /^ {2}Asking 127(\.\d+){3}:\d+ …\n/);
    assert.doesNotMatch(text, /answered yet|Still trying/);
  });

  it('where no server is, the person reads that none is, before it is given up', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_CONTACT=ops@example.com\n' });
    await gate.server.close();
    const text = (await gate.sudo().result).text.replace(/\s+/g, ' ').trim();
    const at = '127(?:\\.\\d+){3}:\\d+';
    const said = [
      `Asking ${at} … ${at} takes no connections: identree does not run there, or a firewall refuses\\. Still trying\\.`,
      `${at} cannot be reached, so nobody can approve this\\. Check the network, then try again\\.`,
      'Help: ops@example\\.com',
    ];
    assert.match(text, new RegExp(`^${said.join(' ')}$`));
  });

  it('the time left counts down on a terminal, and ends with the answer', async () => {
    await using gate = await createTestGate({ environ: { TERM: 'xterm', LANG: 'C.UTF-8' } });
    gate.server.ttlMs = 11_000;
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await hook.says('Time left: 10 s');
    await gate.server.deny(challenge);
    const { text } = await hook.result;
    assert.deepEqual(text.match(/Time left: \d+ s/g), ['Time left: 11 s', 'Time left: 10 s']);
    assert.match(text, /Time left: 10 s\n {2}Denied by dana\.\n$/);
  });

  it('a server that fails for a moment is asked again with a fresh nonce and a higher counter', async () => {
    await using gate = await createTestGate();
    const seen: { nonce: string; counter: number }[] = [];
    gate.server.intercept = ({ path, body, response }) => {
      if (path !== '/challenges') return false;
      seen.push({ nonce: (body!.record as { nonce: string }).nonce, counter: Number(body!.counter) });
      if (seen.length > 1) return false;
      response.destroy();
      return true;
    };
    const hook = gate.sudo();
    await gate.server.approve(await gate.server.challenge());
    assert.equal((await hook.result).granted, true);
    assert.notEqual(seen[0]!.nonce, seen[1]!.nonce);
    assert.ok(seen[1]!.counter > seen[0]!.counter);
  });

  it('trouble while waiting is told once and survived', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    let failures = 2;
    gate.server.intercept = ({ method, response }) => {
      if (method !== 'GET' || failures === 0) return false;
      failures -= 1;
      response.destroy();
      return true;
    };
    gate.server.decide(challenge, 'pending', null);
    await until(() => failures === 0);
    await gate.server.approve(challenge);
    const result = await hook.result;
    assert.equal(result.granted, true);
    assert.equal(result.text.match(/cannot be reached right now/g)?.length, 1);
  });

  it('[E-P14] a request that the server no longer knows is refused', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    gate.server.challenges.length = 0;
    gate.server.decide(challenge, 'pending', null);
    const result = await hook.result;
    assert.equal(result.granted, false);
    assert.match(result.text, /There is no such request/);
  });

  it('nobody answers: refused when time is up, by the server clock, and withdrawn', async () => {
    await using gate = await createTestGate();
    // Half a minute off is within what signatures allow; the time left must not suffer from it.
    gate.server.clockAhead = 30_000;
    gate.server.ttlMs = 1000;
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    const result = await hook.result;
    assert.equal(result.granted, false);
    assert.match(result.text, /Expired/);
    await until(() => challenge.cancelled);
  });

  it('a link to somewhere else is not shown: the pinned address is', async () => {
    await using gate = await createTestGate();
    gate.server.intercept = ({ path, body, response }) => {
      if (path !== '/challenges') return false;
      const record = body!.record as FakeChallenge['record'];
      const times = { expiresAt: Date.now() + 60_000, now: Date.now() };
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          challengeId: 'a'.repeat(32),
          userCode: 'ABCDEF-123456',
          status: 'pending',
          approvalUrl: `https://identree.evil.example/approve/ABCDEF-123456?for=${record.user}`,
          ...times,
          approvers: [],
          verdict: null,
          approverKeys: null,
        }),
      );
      return true;
    };
    const { text } = await gate.sudo().result;
    assert.ok(text.includes(`${gate.server.url}/approve/ABCDEF-123456`), text);
    assert.doesNotMatch(text, /evil/);
  });

  it('a redirect is not followed', async () => {
    await using gate = await createTestGate();
    gate.server.intercept = ({ path, response }) => {
      if (path !== '/challenges') return false;
      response.writeHead(307, { location: `${gate.server.url}/elsewhere` });
      response.end();
      return true;
    };
    const result = await gate.sudo().result;
    assert.equal(result.granted, false);
    assert.match(result.text, /redirects/);
    assert.ok(!gate.server.calls.some(({ path }) => path.includes('elsewhere')));
  });

  it('a log that went back stops everything before anybody is asked', async () => {
    await using gate = await createTestGate();
    await contradict(gate, 'rolled_back');
    const result = await gate.sudo().result;
    assert.equal(result.granted, false);
    assert.match(result.text, /forgotten events/);
    assert.equal(gate.server.challenges.length, 0);
  });

  it('an approval does not count once the log is found to be another one', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await contradict(gate, 'forked');
    await gate.server.approve(challenge);
    const result = await hook.result;
    assert.equal(result.granted, false);
    assert.match(result.text, /not the one that this host has seen/);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'log_contradicted' }]);
  });
});

describe('gate: the record', SHORT, () => {
  it('carries the exact bytes of what was typed, and who and where', async () => {
    const argv = ['sudo', '-u', 'www-data', Buffer.from([0x66, 0xff, 0x1b]), 'a\u202eb', 'back\\slash'];
    await using gate = await createTestGate({
      argv,
      cwd: '/usr',
      environ: { SUDO_REASON: ' disk is full ', LANG: 'C' },
    });
    const hook = gate.sudo();
    const { record } = await gate.server.challenge();
    hook.hangUp();
    const raw = Buffer.concat(argv.flatMap((word) => [Buffer.from(word), Buffer.from([0])]));
    assert.equal(record.argvSha256, createHash('sha256').update(raw).digest('base64url'));
    assert.deepEqual(record.argv, ['sudo', '-u', 'www-data', 'f\\xff\\u{1b}', 'a\\u{202e}b', 'back\\\\slash']);
    assert.equal(record.argvTruncated, false);
    assert.equal(record.user, 'alice');
    assert.equal(record.uid, 1000);
    assert.deepEqual(record.runAs, { user: 'www-data', group: null, assurance: 'derived' });
    assert.equal(record.gate, 'pam');
    assert.equal(record.cwd, '/usr');
    assert.equal(record.tty, '/dev/null');
    assert.equal(record.reason, 'disk is full');
    assert.match(record.nonce, /^[A-Za-z0-9_-]{43}$/);
  });

  it('the user is who asks, not whose password sudo would take', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo({ user: 'root', uid: 0, ruser: 'alice', ruid: 1000 });
    const { record } = await gate.server.challenge();
    hook.hangUp();
    assert.equal(record.user, 'alice');
    assert.equal(record.uid, 1000);
  });

  it('a terminal of somebody else is none, whatever number sudo knows its own by', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo({ tty: '/dev/zero' });
    const { record } = await gate.server.challenge();
    hook.hangUp();
    assert.equal(record.tty, null);
  });

  it('a parent that is not sudo is unparsed, whatever its arguments look like', async () => {
    await using gate = await createTestGate();
    await gate.parent.end();
    const { createParent } = await import('../testing/parent.ts');
    await createParent(gate.dir, { argv: ['sudo', 'true'], cwd: '/usr', program: 'su', pid: gate.parent.pid });
    const hook = gate.sudo();
    const { record } = await gate.server.challenge();
    hook.hangUp();
    assert.equal(record.mode, 'unparsed');
    assert.deepEqual(record.unrestricted, ['unparsed']);
    assert.equal(record.target, null);
  });
});

describe('gate: the hook', SHORT, () => {
  it('whoever has many under way leaves room for all others', async () => {
    await using gate = await createTestGate();
    const ofAlice = Array.from({ length: 128 }, () => gate.sudo());
    await until(() => gate.server.challenges.length === 128);
    const oneMore = await gate.sudo().result;
    assert.equal(oneMore.granted, false);
    assert.match(oneMore.text, /Too many sudos of this account wait on this host/);
    const bob = gate.sudo({ user: 'bob', ruser: 'bob', uid: 1001, ruid: 1001 });
    await until(() => gate.server.challenges.length === 129);
    for (const sudo of ofAlice) sudo.hangUp();
    await until(() => gate.server.challenges.filter(({ cancelled }) => cancelled).length === 128);
    gate.sudo();
    await until(() => gate.server.challenges.length === 130);
    bob.hangUp();
  });

  it('an account that does not exist: nobody is asked, and every guess takes the same time', async () => {
    await using gate = await createTestGate();
    const strangers: Record<string, string | null>[] = [
      { ruid: null },
      { mode: 'ssh-begin', ruser: null, ruid: null, uid: null },
    ];
    for (const change of strangers) {
      const started = performance.now();
      const result = await gate.sudo(change).result;
      assert.equal(result.granted, false);
      assert.equal(result.text, '');
      assert.ok(performance.now() - started >= 1900);
    }
    assert.equal(gate.server.calls.filter(({ path }) => path === '/challenges').length, 0);
  });

  for (const [name, change] of Object.entries({
    'no mode': { mode: null },
    'an unknown mode': { mode: 'sudo2' },
    'another protocol version': { v: 2 },
    'no parent': { ppid: null },
    'a parent that is no number': { ppid: '1; rm' },
    'a hostile user name': { ruser: '../../etc', user: 'x' },
    'a user name that did not fit': { ruser_truncated: 1 },
    'a hostile service': { service: '../sudo' },
  } as Record<string, Record<string, string | number | null>>)) {
    it(`[E-P1] a hello with ${name} is refused`, async () => {
      await using gate = await createTestGate();
      assert.equal((await gate.sudo(change).result).granted, false);
      assert.equal(gate.server.challenges.length, 0);
    });
  }

  it('a parent that is gone already is refused', async () => {
    await using gate = await createTestGate();
    const result = await gate.sudo({ pstart: '1' }).result;
    assert.equal(result.granted, false);
    assert.match(result.text, /is gone/);
    assert.equal(gate.server.challenges.length, 0);
  });

  for (const [name, bytes] of Object.entries({
    'an unknown frame': frame('X', 'abc'),
    'an agent frame': frame('V', '0'),
    'an endless frame': Buffer.from([0x48, 0xff, 0xff]),
    text: Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  })) {
    it(`${name} instead of a hello ends the conversation`, async () => {
      await using gate = await createTestGate();
      const socket = net.connect(gate.socket);
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('error', () => undefined);
      socket.write(bytes);
      await new Promise((resolve) => socket.on('close', resolve));
      assert.equal(Buffer.concat(chunks).length, 0, 'no acceptance, no verdict');
    });
  }

  it('rubbish after the hello cancels and never grants', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    hook.stream.write(frame('Z', ''));
    await until(() => challenge.cancelled);
    assert.equal((await hook.result).granted, null);
  });

  it('a hello in pieces is one hello', async () => {
    await using gate = await createTestGate();
    const { helloPayload } = await import('../testing/fake-hook.ts');
    const whole = frame('H', helloPayload(gate.hello()));
    const socket = net.connect(gate.socket);
    for (const byte of whole) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await gate.server.challenge();
    socket.destroy();
  });

  it('a hook that says nothing is dropped', async () => {
    await using gate = await createTestGate();
    const socket = net.connect(gate.socket);
    socket.resume();
    await new Promise((resolve) => socket.on('close', resolve));
  });

  it('a failure inside refuses, tells the person nothing and the log everything', async () => {
    await using gate = await createTestGate();
    await writeFile(join(gate.state, 'counter'), 'rubbish');
    const result = await gate.sudo().result;
    assert.equal(result.granted, false);
    assert.match(result.text, /failed, so this is refused/);
    assert.doesNotMatch(result.text, /counter/);
    assert.ok(gate.logged.some((line) => line.includes('counter is damaged')));
    assert.equal(gate.server.challenges.length, 0);
  });

  it('many at once get their own answers, with counters in order', async () => {
    await using gate = await createTestGate();
    const hooks = Array.from({ length: 20 }, () => connectHook(gate.socket, gate.hello()));
    await gate.server.challenge(19);
    for (const [index, challenge] of gate.server.challenges.entries()) {
      if (index % 2 === 0) await gate.server.approve(challenge);
      else await gate.server.deny(challenge);
    }
    const results = await Promise.all(hooks.map((hook) => hook.result));
    assert.equal(results.filter(({ granted }) => granted).length, 10);
    const counters = gate.server.challenges.map(({ counter }) => counter);
    assert.deepEqual(
      counters,
      [...counters].sort((a, b) => a - b),
    );
    assert.equal(new Set(counters).size, 20);
  });
});
