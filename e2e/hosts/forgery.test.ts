import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { HostRecord } from '#shared/decision.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { createTestAuthenticator, type TestAuthenticator } from '#shared/testing/authenticator.ts';
import { tokenType } from '#shared/token.ts';
import { altered, createForger, type Forger, signAs, strangerKey, unsigned } from '../harness/forge.ts';
import { createHostClient, endpointOf, enrolFakeHost, type HostClient } from '../harness/host-client.ts';
import type { Host } from '../harness/lab.ts';
import { granted, pendingCode } from '../harness/person.ts';
import { type Middleman, startProxy } from '../harness/proxy.ts';
import { until } from '../harness/run.ts';
import { enrolmentToken, SERVER_PORT } from '../harness/server.ts';
import { agentReady, mark, openWorld, skip, type World } from '../harness/world.ts';

/** What the man in the middle makes of an answer; undefined leaves it alone. */
type Forgery = (answer: ChallengeAnswer, record: HostRecord) => Promise<Partial<ChallengeAnswer>>;

/**
 * Somebody sits between host and server with a valid certificate for the server's name, and in most cases has even the
 * server's signing keys. The host must find out from the evidence alone. `victim` is told a wrong address of the server.
 */
describe('a host believes evidence, not answers', () => {
  let world: World;
  let victim: Host;
  let conf: string;
  let proxy: Middleman;
  let forger: Forger;
  let stranger: TestAuthenticator;
  const alice = (): { authenticator: TestAuthenticator; username: string } => ({
    authenticator: world.person('alice').authenticator,
    username: 'alice',
  });
  /** Keyed by a word of the command line. */
  const forgeries = new Map<string, Forgery>();
  const records = new Map<string, HostRecord>();

  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: ['web1'] });
    const address = await world.lab.addAddress(250);
    proxy = await startProxy({
      certs: world.lab.certs,
      address,
      upstream: world.lab.serverAddress,
      port: SERVER_PORT,
    });
    victim = await world.addHost('victim', { serverAddress: address });
    conf = await victim.read('/etc/identree/client.conf');
    forger = await createForger(world.server);
    stranger = createTestAuthenticator();
    proxy.tamper(async ({ path, json, requestBody }) => {
      if (!path.includes('/challenges') || !json?.challengeId) return undefined;
      const answer = json as unknown as ChallengeAnswer;
      if (requestBody.includes('"record"')) {
        records.set(answer.challengeId, (JSON.parse(requestBody) as { record: HostRecord }).record);
      }
      const record = records.get(answer.challengeId);
      const forge = record && forgeries.get(record.argv.find((word) => forgeries.has(word)) ?? '');
      return record && forge ? { json: { ...answer, ...(await forge(answer, record)) } } : undefined;
    });
  });
  after(async () => {
    await proxy?.close();
    await world?.close();
  });

  /** How long the victim waits for an answer that it can believe. */
  async function patience(duration: string): Promise<void> {
    const settings = `${conf.trimEnd()}\nIDENTREE_TIMEOUT=${duration}\nIDENTREE_MINIMUM_CLASS=passkey\n`;
    await victim.write('/etc/identree/client.conf', settings, 0o600);
    await victim.sh('systemctl restart identree-agent');
    await agentReady(victim);
  }

  /** Runs a sudo whose answers are forged, to its end. */
  async function attempt(
    forge: Forgery,
  ): Promise<{ code: number; text: string; ran: boolean; polls: number; id: string }> {
    const file = mark();
    forgeries.set(file, forge);
    // In turns, because one user may have ten requests waiting.
    const user = forgeries.size % 2 === 0 ? 'alice' : 'bob';
    const terminal = victim.terminal(user, ['sudo', 'touch', file]);
    const code = await terminal.exit;
    const id = [...records].find(([, record]) => record.argv.includes(file))?.[0] ?? '';
    const polls = proxy.seen.filter(({ path, method }) => method === 'GET' && path.includes(id)).length;
    return { code, text: terminal.text(), ran: victim.exists(file), polls, id };
  }

  async function refused(forge: Forgery): Promise<void> {
    const result = await attempt(forge);
    assert.equal(result.ran, false, 'the command must not run');
    assert.equal(result.code, 1, result.text);
    assert.doesNotMatch(result.text, /Approved/);
    assert.match(result.text, /\S/);
    assert.ok(result.polls < 60, `${result.polls} polls: an answer that proves nothing must not make the host spin`);
    const code = world.server.data.challenges().find(({ id }) => id === result.id)?.user_code ?? '';
    const names = (): string =>
      world.server.data
        .events({ code })
        .map(({ event }) => event)
        .join();
    // The host withdraws the request and tells why; whether the server ever answered it cannot know.
    const expected = 'challenge_created,challenge_cancelled,challenge_outcome';
    await until('the end of the request', () => names() === expected).catch(() => {
      assert.equal(names(), expected, result.text);
    });
    assert.equal(world.server.data.challenge(code)?.outcome, 'refused');
  }

  const approvedBy =
    (change: Parameters<Forger['verdict']>[3], by = alice): Forgery =>
    async (answer, record) => ({
      status: 'approved',
      verdict: await forger.sign(forger.verdict(answer, record, by(), change)),
    });

  // The whole way to an approval, with all the time that it may take.
  describe('and what is right counts', () => {
    before(async () => {
      if (!skip) await patience('120s');
    });

    test('control: a verdict that is right in every part lets the command run', { skip }, async () => {
      const result = await attempt(approvedBy({}));
      assert.equal(result.code, 0, result.text);
      assert.equal(result.ran, true);
    });

    test('[E-P5] a forged denial refuses nothing that is approved for real', { skip }, async () => {
      const file = mark();
      let forged = 0;
      forgeries.set(file, async (answer, record) => {
        if (answer.status !== 'pending') return {};
        forged++;
        const denial = forger.verdict(answer, record, alice(), { verdict: { decision: 'denied', class: null } });
        return { status: 'denied', verdict: await forger.sign(denial, await strangerKey()) };
      });
      const terminal = victim.terminal('alice', ['sudo', 'touch', file]);
      granted(await world.person('alice').approve(await pendingCode(world.server, 'alice', file)));
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.equal(victim.exists(file), true);
      assert.ok(forged > 0);
    });
  });

  // Each of these ends when the victim has waited long enough.
  describe('and what is wrong does not', { concurrency: 16 }, () => {
    let used: string;
    before(async () => {
      if (skip) return;
      const file = mark();
      const terminal = victim.terminal('alice', ['sudo', 'touch', file]);
      granted(await world.person('alice').approve(await pendingCode(world.server, 'alice', file)));
      assert.equal(await terminal.exit, 0, terminal.text());
      used = world.server.data.challenges().find((row) => row.record.includes(file))?.verdict ?? '';
      await patience('8s');
    });

    test('a status without a verdict', { skip }, () => refused(async () => ({ status: 'approved', verdict: null })));

    test('a verdict that was altered after it was signed', { skip }, () =>
      refused(async (answer, record) => {
        const denial = forger.verdict(answer, record, alice(), { verdict: { decision: 'denied', class: null } });
        const token = await forger.sign(denial);
        return {
          status: 'approved',
          verdict: altered(token, (payload) => ({ ...payload, decision: 'approved', class: 'passkey' })),
        };
      }),
    );

    test('a verdict that was cut off', { skip }, () =>
      refused(async (answer, record) => ({
        status: 'approved',
        verdict: (await forger.sign(forger.verdict(answer, record, alice()))).slice(0, -10),
      })),
    );

    test('a verdict without a signature (alg none)', { skip }, () =>
      refused(async (answer, record) => ({
        status: 'approved',
        verdict: unsigned(forger.verdict(answer, record, alice()), forger.verdictKey.kid),
      })),
    );

    test('[E-P4] [E-P8] a verdict signed by another key', { skip }, () =>
      refused(async (answer, record) => ({
        status: 'approved',
        verdict: await forger.sign(forger.verdict(answer, record, alice()), await strangerKey()),
      })),
    );

    test("a verdict signed by another key under the server's key id", { skip }, () =>
      refused(async (answer, record) => ({
        status: 'approved',
        verdict: await signAs(
          tokenType.verdict,
          forger.verdict(answer, record, alice()),
          await strangerKey(),
          forger.verdictKey.kid,
        ),
      })),
    );

    test('a token of another purpose, signed by the right key', { skip }, () =>
      refused(async (answer, record) => ({
        status: 'approved',
        verdict: await signAs(tokenType.enrolment, forger.verdict(answer, record, alice()), forger.verdictKey),
      })),
    );

    test('a verdict for another host', { skip }, () =>
      refused(approvedBy({ verdict: { aud: world.server.data.host('web1.example.com')?.id ?? '' } })),
    );

    test('a verdict of another server', { skip }, () => refused(approvedBy({ verdict: { iss: randomUUID() } })));

    test('a verdict for another nonce', { skip }, () =>
      refused(approvedBy({ verdict: { nonce: randomBytes(32).toString('base64url') } })),
    );

    test('a verdict about another request', { skip }, () =>
      refused(approvedBy({ verdict: { requestHash: randomBytes(32).toString('base64url') } })),
    );

    test('a verdict that is over', { skip }, () =>
      refused(approvedBy({ verdict: { exp: Math.floor(Date.now() / 1000) - 5 } })),
    );

    test('an approval whose approver signed an earlier end than the server says', { skip }, () =>
      refused(approvedBy({ document: { expiresAt: Date.now() - 5000 } })),
    );

    test('an approval without an assertion', { skip }, () => refused(approvedBy({ verdict: { evidence: [] } })));

    test('an approval that names nobody', { skip }, () => refused(approvedBy({ verdict: { approvers: [] } })));

    test('an assertion about another request', { skip }, () =>
      refused(approvedBy({ document: { requestHash: randomBytes(32).toString('base64url') } })),
    );

    test('an assertion about another challenge', { skip }, () =>
      refused(approvedBy({ document: { challengeId: randomBytes(16).toString('hex') } })),
    );

    test('an assertion whose document was swapped afterwards', { skip }, () =>
      refused(async (answer, record) => {
        const verdict = forger.verdict(answer, record, alice(), {
          document: { requestHash: randomBytes(32).toString('base64url') },
        });
        const right = forger.verdict(answer, record, alice());
        const evidence = verdict.evidence.map((item) => ({ ...item, document: right.evidence[0]!.document }));
        return { status: 'approved', verdict: await forger.sign({ ...verdict, evidence }) };
      }),
    );

    test('an assertion by a key that is not in the set', { skip }, () =>
      refused(approvedBy({}, () => ({ authenticator: stranger, username: 'alice' }))),
    );

    test("an assertion by somebody else's key", { skip }, () =>
      refused(approvedBy({}, () => ({ authenticator: world.person('bob').authenticator, username: 'alice' }))),
    );

    test("a stranger's assertion under a known credential id", { skip }, () =>
      refused(async (answer, record) => {
        const verdict = forger.verdict(answer, record, { authenticator: stranger, username: 'alice' });
        const credentialId = world.person('alice').authenticator.credentialId;
        const evidence = verdict.evidence.map((item) => ({ ...item, credentialId }));
        return { status: 'approved', verdict: await forger.sign({ ...verdict, evidence }) };
      }),
    );

    test('an assertion without user verification', { skip }, () => refused(approvedBy({ userVerified: false })));

    test('an assertion made for another site', { skip }, () =>
      refused(approvedBy({ origin: 'https://identree.example.net', rpId: 'identree.example.net' })),
    );

    test('a class below what this host accepts', { skip }, () =>
      refused(approvedBy({ verdict: { class: 'session', evidence: [] } })),
    );

    test('an approval by policy where this host wants a passkey', { skip }, () =>
      refused(approvedBy({ verdict: { class: 'policy', approvers: [], evidence: [] } })),
    );

    test('an approver-key set that was rolled back', { skip }, () =>
      refused(async (answer, record) => {
        const set = forger.keySet();
        const mine = set.keys.find(({ username }) => username === 'alice')!;
        const old = { ...mine, credentialId: stranger.credentialId, jwk: stranger.jwk };
        return {
          status: 'approved',
          approverKeys: await forger.signSet({ ...set, version: set.version - 1, keys: [...set.keys, old] }),
          verdict: await forger.sign(forger.verdict(answer, record, { authenticator: stranger, username: 'alice' })),
        };
      }),
    );

    test('another approver-key set of the same version', { skip }, () =>
      refused(async (answer, record) => {
        const set = forger.keySet();
        const mine = set.keys.find(({ username }) => username === 'alice')!;
        const other = { ...mine, credentialId: stranger.credentialId, jwk: stranger.jwk };
        return {
          status: 'approved',
          approverKeys: await forger.signSet({ ...set, keys: [...set.keys, other] }),
          verdict: await forger.sign(forger.verdict(answer, record, { authenticator: stranger, username: 'alice' })),
        };
      }),
    );

    test('an approver-key set that the trust root did not sign', { skip }, () =>
      refused(async (answer, record) => {
        const set = forger.keySet();
        const mine = set.keys.find(({ username }) => username === 'alice')!;
        const other = { ...mine, credentialId: stranger.credentialId, jwk: stranger.jwk };
        return {
          status: 'approved',
          approverKeys: await forger.signSet(
            { ...set, version: set.version + 1, keys: [...set.keys, other] },
            forger.verdictKey,
          ),
          verdict: await forger.sign(forger.verdict(answer, record, { authenticator: stranger, username: 'alice' })),
        };
      }),
    );

    test('[W-5] a verdict that was replayed from an earlier approval', { skip }, () => {
      assert.match(used, /^\S+\.\S+\.\S+$/);
      return refused(async () => ({ status: 'approved', verdict: used }));
    });
  });
});

describe('a host speaks for itself only', () => {
  let world: World;
  let other: HostClient;
  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: ['web1'], people: ['alice'] });
    const token = await enrolmentToken(world.server, 'other.example.com');
    ({ client: other } = await enrolFakeHost(endpointOf(world.server, world.lab), 'other.example.com', { token }));
  });
  after(async () => {
    other?.close();
    await world?.close();
  });

  test("host A reading, polling or cancelling B's challenge", { skip }, async () => {
    const file = mark();
    const host = world.host();
    const terminal = host.terminal('alice', ['sudo', 'touch', file]);
    const code = await pendingCode(world.server, 'alice', file);
    const row = world.server.data.challenge(code)!;
    const nowhere = randomBytes(16).toString('hex');
    for (const [attack, control] of [
      [await other.poll(row.id), await other.poll(nowhere)],
      [await other.poll(row.id, 1), await other.poll(nowhere, 1)],
      [await other.cancel(row.id), await other.cancel(nowhere)],
      [
        await other.call('POST', `/challenges/${row.id}/outcome`, { outcome: 'granted', detail: null }),
        await other.call('POST', `/challenges/${nowhere}/outcome`, { outcome: 'granted', detail: null }),
      ],
    ] as const) {
      assert.equal(attack.status, 404);
      assert.deepEqual(attack.body, control.body, 'as if it never was');
    }
    assert.equal(world.server.data.challenge(code)?.status, 'pending');
    granted(await world.person('alice').approve(code));
    assert.equal(await terminal.exit, 0);
    assert.equal(host.exists(file), true);
    assert.equal((await other.poll(row.id)).status, 404, 'nor once it is decided');
    const refusals = world.server.data
      .events({ event: 'host_request_refused' })
      .filter(({ hostId }) => hostId === other.identity.hostId);
    assert.ok(refusals.length > 0);
  });

  test("host A submitting a request in B's name", { skip }, async () => {
    const row = world.server.data.host('web1.example.com')!;
    const before = world.server.data.challenges().length;
    const answer = await other.create(other.record({ hostId: row.id }));
    assert.equal(answer.body.error?.code, 'wrong_host_record');
    assert.equal(world.server.data.challenges().length, before);
  });

  test('host A signing with its own key as B', { skip }, async () => {
    const row = world.server.data.host('web1.example.com')!;
    const endpoint = endpointOf(world.server, world.lab);
    const liar = createHostClient(endpoint, { ...other.identity, hostId: row.id }, { firstCounter: 1_000_000 });
    const answer = await liar.create(liar.record());
    liar.close();
    assert.equal(answer.status, 401);
    assert.equal(answer.body.error?.code, 'signature_invalid');
    assert.equal(world.server.data.host('web1.example.com')?.state, 'active', 'a liar cannot put B in quarantine');
  });

  test('what the host stored is readable by root only', { skip }, async () => {
    const found = await world
      .host()
      .as('alice', ['sh', '-c', 'cat /var/lib/identree/* /etc/identree/client.conf /run/identree/*']);
    assert.equal(found.stdout, '');
    const connect = await world
      .host()
      .as('alice', [
        'python3',
        '-c',
        'import socket; socket.socket(socket.AF_UNIX).connect("/run/identree/agent.sock")',
      ]);
    assert.notEqual(connect.code, 0);
    assert.match(connect.stderr, /PermissionError/);
  });
});
