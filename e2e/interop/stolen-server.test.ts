import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { type ApproverKeySet, approverKeySet, type HostRecord } from '#shared/decision.ts';
import { sha256 } from '#shared/digest.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { createTestAuthenticator, type TestAuthenticator } from '#shared/testing/authenticator.ts';
import { type PublicJwk, publicJwk, type SigningKey, signingKeyFromPem, signToken, tokenType } from '#shared/token.ts';
import { signDelegation, signForRoot, verifyForRoot } from '#shared/trust-root.ts';
import { type Host, journalHeadsOf, openHost, residentGate } from '../../agent/src/app.ts';
import { createHeardAuthorities } from '../../agent/src/certificates/authorities.ts';
import { renewCertificate } from '../../agent/src/certificates/renew.ts';
import { createTransport } from '../../agent/src/client/transport.ts';
import { enrol } from '../../agent/src/enrol/enrol.ts';
import { createProcessReader } from '../../agent/src/gate/proc.ts';
import { systemClock as agentClock } from '../../agent/src/platform/clock.ts';
import { silentLog } from '../../agent/src/platform/log.ts';
import { systemRandom } from '../../agent/src/platform/random.ts';
import { createDoctor } from '../../agent/src/service/doctor.ts';
import { beat } from '../../agent/src/service/heartbeat.ts';
import { listen } from '../../agent/src/service/socket-server.ts';
import { connectHook, type FakeHook } from '../../agent/src/testing/fake-hook.ts';
import { createHostFolders } from '../../agent/src/testing/host.ts';
import { createParent } from '../../agent/src/testing/parent.ts';
import { type App, createApp } from '../../server/src/app/app.ts';
import type { Config } from '../../server/src/config/config.ts';
import { systemClock } from '../../server/src/platform/clock.ts';
import { runOn } from '../../server/src/testing/run-command.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../../server/src/testing/test-person.ts';
import { approvalBy } from '../harness/forge.ts';

/**
 * A server whose trust root was taken off line is taken over: whoever did it has the database and every file of it, and
 * answers a real agent in its name.
 */

type Answer = Partial<ChallengeAnswer>;

let folder: string;
let config: Config;
let app: App;
let alice: TestPerson;
let host: Host;
let rootFile: string;
/** The request that was made last, as the server answered it. */
let newest: ChallengeAnswer | null = null;
/** What becomes of the answers of the server on their way to the host. */
let forge: ((record: HostRecord, answer: ChallengeAnswer) => Promise<Answer>) | null = null;
let sudo: () => FakeHook;
const ends: (() => unknown)[] = [];
const atTheEnd = (end: () => unknown): void => void ends.unshift(end);

const provider = createTestProvider();

async function start(): Promise<void> {
  app = await createApp(config, { provider });
}

/** The server as hosts reach it, for as long as they live: what it answers is up to who has it. */
async function openFront(): Promise<string> {
  const records = new Map<string, HostRecord>();
  const front = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const payload = Buffer.concat(chunks);
    const { statusCode, headers, body } = await app.http.inject({
      method: request.method as 'GET',
      url: request.url!,
      headers: request.headers as Record<string, string>,
      payload,
    });
    let text = body;
    if (request.url!.includes('/challenges') && body.includes('"challengeId"')) {
      const answer = JSON.parse(body) as ChallengeAnswer;
      if (payload.includes('"record"')) {
        newest = answer;
        records.set(answer.challengeId, (JSON.parse(payload.toString()) as { record: HostRecord }).record);
      }
      const record = records.get(answer.challengeId);
      if (forge && record) text = JSON.stringify({ ...answer, ...(await forge(record, answer)) });
    }
    response.writeHead(statusCode, { 'content-type': String(headers['content-type'] ?? 'application/json') });
    response.end(text);
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  atTheEnd(() => {
    front.closeAllConnections();
    front.close();
  });
  return `http://localhost:${(front.address() as AddressInfo).port}`;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'identree-stolen-'));
  atTheEnd(() => rm(folder, { recursive: true, force: true }));
  const url = await openFront();
  config = testConfig(folder, { IDENTREE_EXTERNAL_URL: url });
  await start();
  atTheEnd(() => app.close());
  alice = await signInTestPerson(app, provider, systemClock, 'alice');

  const folders = await createHostFolders(url, 'IDENTREE_MINIMUM_CLASS=passkey\n');
  atTheEnd(folders.remove);
  const transport = createTransport({ serverUrl: url, ca: null });
  const { token } = await app.hosts.createToken('web1.example.com', 'olga', null);
  const enrolled = await enrol(
    { transport, clock: agentClock, random: systemRandom },
    { credential: { token }, serverUrl: url, hostname: 'web1.example.com', state: folders.paths.state, replace: false },
  );
  transport.close();
  assert.ok(enrolled.ok, JSON.stringify(enrolled));

  host = await openHost(folders.paths, { log: silentLog });
  atTheEnd(() => host.close());
  const parent = await createParent(folders.dir, { argv: ['sudo', 'true'], cwd: '/usr' });
  const processes = createProcessReader(parent.proc, async () => ({
    kind: 'sudo',
    securePath: ['/usr/bin', '/bin'],
    runAsDefault: 'root',
    keeps: [],
  }));
  const stopping = new AbortController();
  const gate = residentGate(host, {
    processes,
    sessionOrigin: async () => null,
    plugin: null,
    log: silentLog,
    stopping: stopping.signal,
  });
  const listener = await listen(folders.paths.socket, gate.handle);
  atTheEnd(async () => {
    stopping.abort();
    await listener.close();
  });
  sudo = () =>
    connectHook(folders.paths.socket, {
      v: 1,
      mode: 'sudo',
      service: 'sudo',
      user: 'alice',
      ruser: 'alice',
      tty: '/dev/pts/3',
      ppid: parent.pid,
      pstart: parent.startTime,
      uid: 1000,
      ruid: 1000,
      cols: 80,
      rows: 24,
      fg: 1,
    });
  rootFile = join(folder, 'carried.pem');
});
after(async () => {
  for (const end of ends) await end();
});

/** A sudo that alice approves with a passkey. */
async function approved(passkey: TestAuthenticator): Promise<{ refusal: string | null; granted: boolean | null }> {
  const hook = sudo();
  await hook.says('/approve/');
  const { userCode, challengeId } = newest!;
  const { data } = await alice.query<{ passkey: { options: never } }>('challenges.get', { code: userCode });
  const assertion = await passkey.assert(data.passkey.options);
  const { refusal } = await alice.mutate('challenges.approve', { challengeId, assertion });
  if (refusal !== null) hook.cancel('interrupted');
  return { refusal, granted: (await hook.result).granted };
}

const run = async (...argv: string[]): Promise<string> => {
  const { code, out, err } = await runOn(argv, config);
  assert.equal(code, 0, err);
  return out;
};

const keyFile = async (name: string): Promise<SigningKey> =>
  signingKeyFromPem(await readFile(join(config.keysDir, name), 'utf8'));

async function newKey(): Promise<SigningKey & { jwk: PublicJwk }> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const jwk = await publicJwk(privateKey);
  return { kid: jwk.kid, privateKey, jwk };
}

/** The set in force, and in it a key of whoever has the server: alice has said yes with it. */
async function withOwnKey(stranger: TestAuthenticator): Promise<ApproverKeySet> {
  const { token } = await app.approverKeys.current(app.db.query);
  const set = approverKeySet.parse(JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8')));
  const [mine] = set.keys;
  const own = { ...mine!, credentialId: stranger.credentialId, jwk: stranger.jwk };
  return { ...set, version: set.version + 1, keys: [...set.keys, own] };
}

/** An approval that is right in everything, by this passkey in the name of alice. */
async function verdictBy(
  authenticator: TestAuthenticator,
  set: ApproverKeySet,
  record: HostRecord,
  answer: ChallengeAnswer,
): Promise<string> {
  const by = { authenticator, username: set.keys[0]!.username };
  const verdict = approvalBy(by, { set, policyVersion: sha256('policy') }, answer, record);
  return signToken(tokenType.verdict, verdict, await keyFile('verdict.pem'));
}

/** A sudo that whoever has the server says yes to, with a key of their own in a set that was signed like this. */
async function takenOver(sign: (set: ApproverKeySet) => Promise<string>): Promise<FakeHook> {
  const stranger = createTestAuthenticator({ origin: config.externalUrl });
  const set = await withOwnKey(stranger);
  forge = async (record, answer) => ({
    status: 'approved',
    approverKeys: await sign(set),
    verdict: await verdictBy(stranger, set, record, answer),
  });
  return sudo();
}

async function gainsNothing(sign: (set: ApproverKeySet) => Promise<string>): Promise<void> {
  const { version } = host.keys.current();
  const hook = await takenOver(sign);
  await hook.says('ignored');
  hook.cancel('interrupted');
  const { granted } = await hook.result;
  forge = null;
  assert.notEqual(granted, true, 'the command must not run');
  assert.equal(host.keys.current().version, version, 'the host keeps the set that the trust root signed');
}

test('while the trust root is on the server, whoever has it approves with a key of their own', async () => {
  assert.deepEqual(await approved(alice.passkey), { refusal: null, granted: true });
  const root = await keyFile('trust-root.pem');
  const hook = await takenOver((set) => signToken(tokenType.approverKeys, set, root));
  const { granted } = await hook.result;
  forge = null;
  assert.equal(granted, true, 'else the tests below would prove nothing');
  // The host has taken a set that the server does not know: one of its own that is newer follows.
  await alice.browser.addPasskey(alice.passkey);
  await alice.browser.addPasskey(alice.passkey);
});

test('it is exported, carried away and taken off the server; hosts that were enrolled before go on', async () => {
  await run('trust', 'export', rootFile);
  await run('trust', 'detach', rootFile);
  await app.close();
  await start();
  alice = await alice.at(app);
  const left = await readdir(config.keysDir);
  assert.ok(!left.includes('trust-root.pem'));
  const root = await readFile(rootFile, 'utf8');
  for (const name of left) {
    const content = await readFile(join(config.keysDir, name), 'utf8');
    assert.ok(!content.includes(root.split('\n')[1]!), `${name} holds the trust root`);
  }
  assert.deepEqual(await approved(alice.passkey), { refusal: null, granted: true });
});

test('with the database and every file of the server, a key of one’s own approves nothing', async () => {
  const word = (await readFile(join(config.keysDir, 'delegation.jws'), 'utf8')).trim();
  const delegate = await keyFile('delegate.pem');
  const stranger = await newKey();
  const { kid } = app.trust.trustRoot;
  const set = tokenType.approverKeys;
  const forgeries: Record<string, (payload: ApproverKeySet) => Promise<string>> = {
    'by the delegate': (payload) => signToken(set, payload, delegate),
    'by the delegate, with the word of the root for it': (payload) =>
      signForRoot(set as never, payload, { key: delegate, word }),
    'by the key of verdicts': async (payload) => signToken(set, payload, await keyFile('verdict.pem')),
    'by the key of the log': async (payload) => signToken(set, payload, await keyFile('log.pem')),
    'by a key of their own': (payload) => signToken(set, payload, stranger),
    'by a key of their own under the name of the root': (payload) => signToken(set, payload, { ...stranger, kid }),
    'by a delegate of the delegate': async (payload) =>
      signForRoot(set as never, payload, { key: stranger, word: await signDelegation(stranger.jwk, delegate, 0) }),
    'by the delegate, as something that it may sign': (payload) => signToken(tokenType.certificate, payload, delegate),
    'by nobody: the word of the root alone': async () => word,
  };
  for (const sign of Object.values(forgeries)) await gainsNothing(sign);
});

test('it cannot make itself another delegate, nor have its word taken for a set', async () => {
  const { trustRoot } = app.trust;
  const delegate = await keyFile('delegate.pem');
  const stranger = await newKey();
  const payload = { nonce: 'x' };
  const schema = z.object({ nonce: z.string() });
  const word = (await readFile(join(config.keysDir, 'delegation.jws'), 'utf8')).trim();
  const good = await signForRoot(tokenType.certificate, payload, { key: delegate, word });
  assert.ok((await verifyForRoot(tokenType.certificate, good, trustRoot, schema)).ok);
  for (const by of [
    { key: stranger, word: await signDelegation(stranger.jwk, delegate, 0) },
    { key: stranger, word: await signDelegation(stranger.jwk, stranger, 0) },
    { key: stranger, word },
    { key: delegate, word: null },
    { key: delegate, word: `${word}~${word}` },
  ]) {
    const token = await signForRoot(tokenType.certificate, payload, by);
    assert.equal((await verifyForRoot(tokenType.certificate, token, trustRoot, schema)).ok, false);
  }
});

test('a new passkey waits, is refused with the reason, and approves once the root has signed for it', async () => {
  const fresh = await alice.browser.addPasskey(alice.passkey);
  const listed = async () =>
    (await alice.query<{ passkeys: { credentialId: string; unsigned: boolean }[] }>('passkeys.list')).data.passkeys
      .filter(({ unsigned }) => unsigned)
      .map(({ credentialId }) => credentialId);
  assert.deepEqual(await listed(), [fresh.credentialId]);
  assert.deepEqual(await approved(fresh), { refusal: 'passkey_unsigned', granted: false });
  const before = host.keys.current().version;

  const [request, signature] = [join(folder, 'request.json'), join(folder, 'signature.jws')];
  await run('trust', 'request', request);
  const shown = await run('trust', 'sign', request, '--root', rootFile);
  assert.match(shown, new RegExp(`\\+ "alice".* passkey ${fresh.credentialId}`));
  const digest = /--digest (\S+)/.exec(shown)![1]!;
  await run('trust', 'sign', request, '--root', rootFile, '--digest', digest, '--signature', signature);
  await run('trust', 'attach', signature);

  assert.deepEqual(await listed(), []);
  assert.deepEqual(await approved(fresh), { refusal: null, granted: true });
  assert.ok(host.keys.current().version > before);
  assert.match(await run('trust', 'request'), /Nothing waits/);
});

test('a host that enrols while the root is off line pins the root, not its delegate', async () => {
  const folders = await createHostFolders(config.externalUrl);
  atTheEnd(folders.remove);
  const transport = createTransport({ serverUrl: config.externalUrl, ca: null });
  const { token } = await app.hosts.createToken('web2.example.com', 'olga', null);
  const enrolled = await enrol(
    { transport, clock: agentClock, random: systemRandom },
    {
      credential: { token },
      serverUrl: config.externalUrl,
      hostname: 'web2.example.com',
      state: folders.paths.state,
      replace: false,
    },
  );
  transport.close();
  assert.ok(enrolled.ok, JSON.stringify(enrolled));
  assert.equal(enrolled.trustRoot, app.trust.trustRoot.kid);
});

test('a certificate, the log and a statement about a backup go on being believed', async () => {
  const renewed = await renewCertificate({
    client: host.client,
    enrolment: host.enrolment,
    store: host.certificates,
    directory: async () => null,
    keepDirectory: async () => {},
    noteAuthorities: async () => {},
    reconnect: async () => {},
    clock: agentClock,
    random: systemRandom,
    log: silentLog,
  });
  assert.ok(renewed.ok, JSON.stringify(renewed));
  const heartbeat = () =>
    beat({
      client: host.client,
      keys: host.keys,
      grants: host.grants,
      authorities: createHeardAuthorities(),
      ownAuthorities: async () => null,
      doctor: createDoctor({ look: async () => [], clock: agentClock, log: silentLog }),
      checkpoints: host.checkpoints,
      trust: host.enrolment.trust,
      report: async () => ({ v: 1, grants: [], accounts: [], unread: 0, drift: [], cut: false }),
      journals: journalHeadsOf(host, silentLog),
      osInfo: 'test',
      save: async () => {},
      clock: agentClock,
      log: silentLog,
    });
  assert.equal((await heartbeat()).result, 'ok');
  assert.ok(host.checkpoints.current().signed, 'it follows the log');
  await run('restore', 'accept', '--operator', 'olga', '--reason', 'the disk of db1 died');
  assert.equal((await heartbeat()).result, 'ok');
});

test('a server that kept the root, or got it back from a backup, does not start', async () => {
  await app.close();
  await copyFile(rootFile, join(config.keysDir, 'trust-root.pem'));
  await assert.rejects(createApp(config, { provider }), /taken off line, but .* still has it/);
  await rm(join(config.keysDir, 'trust-root.pem'));
  await start();
});
