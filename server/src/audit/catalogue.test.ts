import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { BreakGlassUse } from '#shared/break-glass-api.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { EARLIER_EVENTS, EARLIER_SILENCE, type Earlier } from '#shared/earlier-events.ts';
import { eventOutcome } from '#shared/event-outcome.ts';
import { CHAIN_START, EVENTS, type EventName, type LoggedEvent } from '#shared/events.ts';
import { grantableRecord, grantUse } from '#shared/testing/grant-entry.ts';
import type { App } from '../app/app.ts';
import type { Approval } from '../challenges/showing.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { directorySettingsOf } from '../directory/configured.ts';
import { createUidMapTools } from '../directory/numbers/uidmap.ts';
import { ruleInput } from '../directory/rules/rule.ts';
import { openScim, TEST_ISSUER, testUser } from '../directory/scim/test-scim.ts';
import { startEpoch } from '../events/start-epoch.ts';
import { createTestChannels } from '../notify/testing/test-channels.ts';
import { announcePolicy } from '../policies/announce.ts';
import { createPolicyFile } from '../policies/source.ts';
import { journalBeats } from '../testing/journal-beat.ts';
import { logBeat, logHeadOf } from '../testing/log-beat.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp, passTime, type TestApp } from '../testing/test-app.ts';
import { type DirectorySite, openDirectorySite } from '../testing/test-directory.ts';
import { enrolBody, enrolTestHost, sendEnrol, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson, testStranger } from '../testing/test-person.ts';
import { openRoot } from '../testing/test-root.ts';
import { putDeadLetters } from './dead-letter-store.ts';
import { createDeadLetters } from './dead-letters.ts';
import { auditRecord } from './record.ts';
import { SETTLED_MS } from './retention.ts';

/** A value that differs each time: what it must look like. */
type Looks = (value: unknown) => boolean;
const like =
  (pattern: RegExp): Looks =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const SOME: Looks = (value) => Array.isArray(value);
const HASH = like(/^[A-Za-z0-9_-]{43}$/);
const UUID = like(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
const TEXT = like(/./);
const SERIAL = like(/^[0-9a-f]{10,}$/i);
const IS: Looks = (value) => typeof value === 'boolean';
const NUMBER: Looks = (value) => typeof value === 'number';

/** All that an event says, but for its place in the log. A member that is left out does not compile. */
type Said = {
  [Member in 'username' | 'hostId' | 'hostname' | 'challengeId' | 'code' | 'actor' | 'reason' | 'remoteAddr']:
    | string
    | null
    | Looks;
} & { data: Record<string, unknown> };

const NOTHING = {
  username: '',
  hostId: null,
  hostname: null,
  challengeId: null,
  code: null,
  actor: null,
  reason: null,
  remoteAddr: null,
  data: {},
} satisfies Said;

/** Fails where a value is not as it is expected, down to each member. */
function compare(actual: unknown, expected: unknown, at: string): void {
  if (typeof expected === 'function') {
    assert.ok((expected as Looks)(actual), `${at}: ${JSON.stringify(actual)}`);
  } else if (typeof expected === 'object' && expected !== null && !Array.isArray(expected)) {
    assert.ok(typeof actual === 'object' && actual !== null, at);
    assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), at);
    for (const [key, value] of Object.entries(expected))
      compare((actual as Record<string, unknown>)[key], value, `${at}.${key}`);
  } else {
    assert.deepEqual(actual, expected, at);
  }
}

/**
 * Causes an event once, and says what it has to say.
 *
 * @returns `on`: the server in whose log it is, unless it is the one that most use; `from`: what came before does not count
 */
type Scenario = (w: World) => Promise<Said & { on?: App; from?: number }>;

const ADDRESS = '192.0.2.7';
/** `app.inject` without an address of its own. */
const LOCAL = '127.0.0.1';
const ISSUER = 'https://idp.example.com';
const REASON = 'the network of the branch is down';
const about = (name: string) => ({ issuer: ISSUER, subject: `subject of ${name}` });

const closing: (() => unknown)[] = [];
const t = { after: (run: () => unknown) => void closing.push(run) } as Parameters<typeof openDirectorySite>[0];

interface World extends TestApp {
  provider: ReturnType<typeof createTestProvider>;
  channels: ReturnType<typeof createTestChannels>;
  olga: TestPerson;
  erin: TestPerson;
  alice: TestPerson;
  host: TestHost;
  policyFile: string;
  signIn(name: string, options?: Parameters<typeof signInTestPerson>[4]): Promise<TestPerson>;
  hostId(hostname: string): Promise<string>;
  personId(name: string): Promise<string>;
  /** Ends a request as its owner would. */
  decide(how: 'approve' | 'deny', answer: { challengeId: string; userCode: string }): Promise<string | null>;
  /** What every event about a request says. */
  aboutRequest(answer: { challengeId: string; userCode: string }): Said;
  directory(): Promise<DirectorySite & { olga: TestPerson }>;
  scim(): Promise<Awaited<ReturnType<typeof openScim>>>;
}

async function openWorld(): Promise<World> {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-catalogue-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const policyFile = join(folder, 'policies.json');
  const policies = [{ name: 'robots', match_users: ['robot'], approval: 'none' }];
  await writeFile(policyFile, JSON.stringify({ policies }), { mode: 0o600 });
  const provider = createTestProvider();
  const channels = createTestChannels();
  const site = await createTestApp({
    app: { provider, notify: channels },
    env: {
      IDENTREE_ESCROW_BACKEND: 'local',
      IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
      IDENTREE_BREAKGLASS_SECOND_PERSON: 'true',
      IDENTREE_OFFLINE_GRANT: '1h',
      IDENTREE_SHARED_SECRET: randomBytes(32).toString('hex'),
      IDENTREE_AUDIT_RETENTION: 'sessions=30',
      IDENTREE_AUDIT_ARCHIVE_DIR: join(folder, 'archive'),
      IDENTREE_AUDIT_LOG: join(folder, 'audit.jsonl'),
    },
    config: { policiesFile: policyFile },
  });
  t.after(() => site.close());
  const { app, clock } = site;
  await app.start();
  const signIn: World['signIn'] = (name, options) => signInTestPerson(app, provider, clock, name, options);
  const olga = await signIn('olga', { groups: ['admins'] });
  const erin = await signIn('erin', { groups: ['admins'] });
  const alice = await signIn('alice');
  const host = await enrolTestHost(app, clock, 'web1.example.com');
  const list = async <T>(query: string) => (await olga.query<T>(query)).data;
  let directory: Promise<DirectorySite & { olga: TestPerson }> | null = null;
  let scim: ReturnType<typeof openScim> | null = null;
  return {
    ...site,
    provider,
    channels,
    olga,
    erin,
    alice,
    host,
    policyFile,
    signIn,
    hostId: async (hostname) => (await app.hosts.list()).find((one) => one.hostname === hostname)!.id,
    personId: async (name) =>
      (await list<{ id: string; username: string }[]>('people.list')).find(({ username }) => username === name)!.id,
    async decide(how, { challengeId, userCode }) {
      if (how === 'deny') return (await alice.mutate('challenges.deny', { challengeId, reason: REASON })).refusal;
      const { data } = await alice.query<Approval>('challenges.get', { code: userCode });
      const assertion = alice.passkey.assert(data.passkey!.options as never);
      return (await alice.mutate('challenges.approve', { challengeId, assertion })).refusal;
    },
    aboutRequest: ({ challengeId, userCode }) => ({
      ...NOTHING,
      username: 'alice',
      hostId: host.id,
      hostname: 'web1.example.com',
      challengeId,
      code: userCode,
    }),
    directory() {
      directory ??= (async () => {
        const opened = await openDirectorySite(t, [user('alice'), user('bob')]);
        return { ...opened, olga: await opened.signIn('olga', { groups: ['admins'], passkey: false }) };
      })();
      return directory;
    },
    scim: () => (scim ??= openScim(t)),
  };
}

const ended = (request: Said, more: Partial<Said>, data: object = {}): Said => ({
  ...request,
  ...more,
  data: {
    requestHash: HASH,
    createdAt: NUMBER,
    command: TEXT,
    policyVersion: HASH,
    rule: TEXT,
    class: null,
    approver: null,
    credentialIds: [],
    assertionIds: [],
    approverKeysVersion: NUMBER,
    ...data,
  },
});

const revealed = (w: World, more: Partial<Said>): Said => ({
  ...NOTHING,
  hostId: w.host.id,
  hostname: 'web1.example.com',
  reason: REASON,
  remoteAddr: ADDRESS,
  ...more,
});

/** Signs an administrator in just now: it is asked for before somebody is shown a password. */
async function freshly({ browser }: TestPerson, name: string): Promise<void> {
  await browser.signInFresh(name, { issuer: ISSUER, groups: ['admins'] });
}

async function reveal({ olga, host }: World) {
  await freshly(olga, 'olga');
  const which = { hostId: host.id, reason: REASON };
  const { data } = await olga.mutate('breakGlass.revealOptions', which);
  return olga.mutate('breakGlass.reveal', { ...which, assertion: olga.passkey.assert(data as never) });
}

async function use(w: World, outcome: 'opened' | 'wrong') {
  const record = w.host.record({ user: 'alice', reason: REASON });
  const entry = { id: randomUUID(), at: w.clock.now(), outcome, record, prevHash: CHAIN_START };
  const told = { ...entry, hash: canonicalSha256(entry) } satisfies BreakGlassUse;
  assert.equal((await w.host.send('POST', '/break-glass/uses', told)).status, 200);
  const { gate, service, mode, argv, argvTruncated, runAs, cwd, tty, origin } = record;
  return revealed(w, {
    username: 'alice',
    remoteAddr: LOCAL,
    data: {
      ...{ gate, service, mode, argv, argvTruncated, runAs, cwd, tty, origin, command: 'sudo id' },
      ...{ id: told.id, at: told.at, journalHash: told.hash },
      ...(outcome === 'opened' ? {} : { gap: true }),
    },
  });
}

/** A person of the directory's file. */
const user = (username: string) => ({ id: `sub-${username}`, username, issuer: ISSUER });

/** What is said of somebody who would have the name of an account of a host. */
const NAME_THAT_GIVES_POWER = {
  owner: { kind: 'user', issuer: ISSUER, subject: 'sub-carol', name: 'carol' },
  name: 'carol',
  rules: [],
  runAs: [],
  local: [
    {
      host: 'db1.example.com',
      type: 'user',
      name: 'carol',
      gives: 'the local account of this name',
      file: '/etc/passwd',
      line: null,
    },
  ],
  gains: SOME,
  count: NUMBER,
};

/** Steps of another authority that takes the place of the one that signs. */
async function rotated(
  steps: readonly string[],
  authorities: Record<string, Looks>,
): Promise<Said & { on: App; from: number }> {
  const site = await createTestApp();
  t.after(() => site.close());
  for (const step of steps) assert.equal((await runOn(['ca', step], site.config)).code, 0);
  const data = { authorities, leftBehind: [] };
  return { ...NOTHING, on: site.app, from: 0, actor: 'identree-server', data };
}

let requestId = '';
let routeId = '';

/** What is said of a route. */
const rule = (channels: readonly string[]) => ({
  ...{ channels, events: ['challenge_*'], hosts: [], hostGroups: [], users: [], severities: [], policies: [] },
});

/** An administrator's test of a channel that refuses it: a notification that is given up. */
async function givenUp({ app, channels, olga }: World): Promise<string> {
  channels.answer = () => ({ outcome: 'refused', reason: 'no such room' });
  const { data } = await olga.mutate<{ id: string }>('notify.test', { channel: 'ops' });
  for (const end = performance.now() + 30_000; performance.now() < end; ) {
    app.notify.wake();
    if ((await app.notify.deliveries.get(data.id, null))?.status === 'dead') break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return data.id;
}

/** Every event. One that has no scenario does not compile. In their order: some go on from those before. */
const SCENARIOS: Record<EventName, Scenario> = {
  server_initialized: async ({ app }) => ({
    ...NOTHING,
    from: 0,
    data: { serverId: app.keys.serverId, trustRoot: app.keys.trustRoot.kid },
  }),
  log_key_created: async ({ app }) => ({ ...NOTHING, from: 0, data: { logKey: app.keys.log.kid, previous: null } }),
  server_started: async () => ({ ...NOTHING, from: 0 }),
  policy_changed: async ({ app, policyFile }) => {
    await writeFile(policyFile, '{', { mode: 0o600 });
    await announcePolicy(app, createPolicyFile(policyFile));
    const policies = [{ name: 'robots', match_users: ['robot'], approval: 'none' }];
    const { seq } = await app.events.head();
    await writeFile(policyFile, JSON.stringify({ policies }), { mode: 0o600 });
    await announcePolicy(app, createPolicyFile(policyFile));
    return { ...NOTHING, from: seq, data: { from: null, to: HASH } };
  },
  log_epoch_started: async ({ app }) => {
    await startEpoch(app, { operator: 'olga', reason: REASON });
    const data = { token: TEXT, seq: NUMBER, hash: HASH, contradictedBy: 0 };
    return { ...NOTHING, actor: 'olga', reason: REASON, data };
  },
  ca_rotation_begun: () => rotated(['rotate'], { signing: HASH, next: HASH }),
  ca_activated: () => rotated(['rotate', 'activate'], { signing: HASH, old: HASH }),
  ca_rotation_finished: () => rotated(['rotate', 'activate', 'finish'], { signing: HASH }),
  trust_root_detached: async () => {
    const { app, must, root } = await openRoot(t, { detached: false });
    await must('trust', 'export', root);
    await must('trust', 'detach', root);
    const data = { trustRoot: app.keys.trustRoot.kid };
    return { ...NOTHING, on: app, from: 0, actor: 'identree-server', data };
  },
  approver_keys_waiting: async () => {
    const { app, addPasskey } = await openRoot(t, { detached: true });
    const { seq } = await app.events.head();
    await addPasskey!();
    return { ...NOTHING, on: app, from: seq, username: 'alice', remoteAddr: ADDRESS, data: { version: 3, keys: 2 } };
  },

  enrolment_token_created: async (w) => {
    assert.equal((await w.olga.mutate('hosts.createToken', { hostname: 'new.example.com' })).refusal, null);
    const data = { tokenId: TEXT, expiresAt: NUMBER };
    return { ...NOTHING, hostname: 'new.example.com', actor: 'olga', remoteAddr: ADDRESS, data };
  },
  host_enrolled: async (w) => {
    const { id } = await enrolTestHost(w.app, w.clock, 'web2.example.com');
    const data = { state: 'active', with: 'token', keyFingerprint: HASH, tokenId: TEXT };
    return { ...NOTHING, hostId: id, hostname: 'web2.example.com', remoteAddr: LOCAL, data };
  },
  certificate_issued: async (w) => {
    const { id } = await enrolTestHost(w.app, w.clock, 'web3.example.com');
    const data = { serial: SERIAL, expiresAt: NUMBER };
    return { ...NOTHING, hostId: id, hostname: 'web3.example.com', code: SERIAL, remoteAddr: LOCAL, data };
  },
  host_confirmed: async (w) => {
    const request = await enrolBody('waits.example.com', { sharedSecret: w.config.sharedSecret! });
    assert.equal((await sendEnrol(w.app, w.clock, request)).status, 200);
    const hostId = await w.hostId('waits.example.com');
    const fingerprint = request.body.apiKey.kid;
    assert.equal((await w.olga.mutate('hosts.confirm', { hostId, fingerprint })).refusal, null);
    const data = { keyFingerprint: fingerprint, from: 'waiting' };
    return { ...NOTHING, hostId, hostname: 'waits.example.com', actor: 'olga', remoteAddr: ADDRESS, data };
  },
  host_group_changed: async (w) => {
    const hostId = await w.hostId('web2.example.com');
    assert.equal((await w.olga.mutate('hosts.setGroup', { hostId, group: 'web' })).refusal, null);
    const data = { from: null, to: 'web' };
    return { ...NOTHING, hostId, hostname: 'web2.example.com', actor: 'olga', remoteAddr: ADDRESS, data };
  },
  host_removed: async (w) => {
    const hostId = await w.hostId('web2.example.com');
    assert.equal((await w.olga.mutate('hosts.revoke', { hostId })).refusal, null);
    const data = { keyFingerprint: HASH };
    return { ...NOTHING, hostId, hostname: 'web2.example.com', actor: 'olga', remoteAddr: ADDRESS, data };
  },
  host_reported: async (w) => {
    assert.equal((await w.host.report({ unread: 2, drift: ['a file'] as never })).status, 204);
    const data = { grants: 0, accounts: 0, unread: 2, drift: ['a file'], cut: false };
    return { ...NOTHING, hostId: w.host.id, hostname: 'web1.example.com', data };
  },
  host_log_contradicted: async (w) => {
    const kept = await logHeadOf(w.host, await logBeat(w.host, null));
    await logBeat(w.host, kept, { log: { head: kept.token, contradiction: 'rolled_back' } });
    const data = { contradiction: 'rolled_back', seq: kept.seq, seenHash: kept.hash, seenAt: kept.at, signed: true };
    return { ...NOTHING, hostId: w.host.id, hostname: 'web1.example.com', data };
  },
  host_log_followed: async (w) => {
    const kept = await logHeadOf(w.host, await logBeat(w.host, null));
    await logBeat(w.host, kept);
    return { ...NOTHING, hostId: w.host.id, hostname: 'web1.example.com', data: { seq: kept.seq } };
  },
  host_journal_contradicted: async (w) => {
    const beats = journalBeats(w, w.host);
    await beats.say({ seq: 2, hash: CHAIN_START, after: null });
    await beats.say({ seq: 1, hash: CHAIN_START, after: null });
    const [hash, saidHash] = [CHAIN_START, CHAIN_START];
    const data = { journal: 'breakGlass', problem: 'went_back', seq: 2, hash, saidSeq: 1, saidHash };
    return { ...NOTHING, hostId: w.host.id, hostname: 'web1.example.com', data };
  },
  host_journal_followed: async (w) => {
    await journalBeats(w, w.host).say({ seq: 2, hash: CHAIN_START, after: null });
    const data = { journal: 'breakGlass', seq: 2, hash: CHAIN_START };
    return { ...NOTHING, hostId: w.host.id, hostname: 'web1.example.com', data };
  },
  host_journal_accepted: async (w) => {
    await journalBeats(w, w.host).say({ seq: 1, hash: CHAIN_START, after: null });
    await w.app.hosts.acceptJournals(w.host.id, { username: 'olga', remoteAddr: ADDRESS });
    const data = { journal: 'breakGlass', problem: 'went_back', from: 2, to: 1, hash: CHAIN_START };
    return { ...NOTHING, hostId: w.host.id, hostname: 'web1.example.com', actor: 'olga', remoteAddr: ADDRESS, data };
  },
  host_request_refused: async (w) => {
    const refused = await w.host.send('GET', `/challenges/${'a'.repeat(32)}?wait=0`, undefined, {
      parameters: { created: Math.floor(w.clock.now() / 1000) - 3600 },
    });
    assert.equal(refused.body.error?.code, 'clock_skew');
    // Who it was that asked nothing proves.
    return { ...NOTHING, remoteAddr: LOCAL, data: { refusal: 'clock_skew' } };
  },
  host_quarantined: async (w) => {
    const twin = await enrolTestHost(w.app, w.clock, 'twin.example.com');
    await twin.create();
    twin.counter -= 1;
    w.clock.advance(1000);
    assert.equal((await twin.send('POST', '/challenges', twin.createBody())).body.error?.code, 'host_quarantined');
    return { ...NOTHING, hostId: twin.id, hostname: 'twin.example.com', remoteAddr: LOCAL, data: { cause: TEXT } };
  },

  breakglass_escrowed: async (w) => {
    const password = { id: randomUUID(), type: 'random', createdAt: w.clock.now(), password: 'otter-maple-violin' };
    assert.equal((await w.host.send('POST', '/break-glass/escrow', password)).status, 200);
    const data = { id: password.id, type: 'random', backend: 'local' };
    return revealed(w, { reason: null, remoteAddr: LOCAL, data });
  },
  rotated_breakglass: async (w) => {
    const current = { createdAt: w.clock.now(), type: 'random', escrowId: randomUUID() };
    await w.host.send('POST', '/break-glass/state', { enabled: true, current, problem: null });
    const data = { type: 'random', id: current.escrowId };
    return revealed(w, { reason: null, remoteAddr: null, data });
  },
  breakglass_rotation_requested: async (w) => {
    assert.equal((await w.olga.mutate('breakGlass.rotate', { hostId: w.host.id })).refusal, null);
    return revealed(w, { actor: 'olga', reason: null });
  },
  breakglass_reveal_requested: async (w) => {
    const { data } = await w.olga.mutate<{ id: string }>('breakGlass.askReveal', { hostId: w.host.id, reason: REASON });
    requestId = data.id;
    return revealed(w, { actor: 'olga', data: { request: requestId, ...about('olga') } });
  },
  breakglass_reveal_refused: async (w) => {
    const assertion = w.olga.passkey.assert((await w.olga.mutate('passkeys.additionOptions', undefined)).data as never);
    const which = { hostId: w.host.id, reason: REASON, assertion };
    assert.equal((await w.olga.mutate('breakGlass.reveal', which)).refusal, 'second_person_required');
    return revealed(w, { actor: 'olga', data: { refusal: 'second_person_required', ...about('olga') } });
  },
  breakglass_reveal_confirmed: async (w) => {
    await freshly(w.erin, 'erin');
    const { data } = await w.erin.mutate('breakGlass.confirmRevealOptions', { id: requestId });
    const assertion = w.erin.passkey.assert(data as never);
    assert.equal((await w.erin.mutate('breakGlass.confirmReveal', { id: requestId, assertion })).refusal, null);
    return revealed(w, { actor: 'erin', data: { request: requestId, askedBy: 'olga', ...about('erin') } });
  },
  revealed_breakglass: async (w) => {
    assert.equal((await reveal(w)).refusal, null);
    const isOne: Looks = (value) => Array.isArray(value) && value.length === 1 && UUID(value[0]);
    const data = { ids: isOne, request: requestId, confirmedBy: 'erin', ...about('olga') };
    return revealed(w, { actor: 'olga', data });
  },
  break_glass_used: (w) => use(w, 'opened'),
  break_glass_refused: (w) => use(w, 'wrong'),

  challenge_created: async (w) => {
    const record = w.host.record({ reason: REASON });
    const answer = await w.host.create(record);
    const data = {
      requestHash: HASH,
      gate: record.gate,
      runAs: record.runAs.user,
      command: TEXT,
      policyVersion: HASH,
      rule: TEXT,
      expiresAt: NUMBER,
    };
    return { ...w.aboutRequest(answer), reason: REASON, remoteAddr: LOCAL, data };
  },
  challenge_shown: async (w) => {
    const answer = await w.host.create();
    assert.equal((await w.olga.query('challenges.get', { code: answer.userCode, open: true })).refusal, null);
    const data = { where: 'console', sessionKind: 'browser', person: about('olga') };
    return { ...w.aboutRequest(answer), actor: 'olga', remoteAddr: ADDRESS, data };
  },
  auto_approved: async (w) => {
    const answer = await w.host.create(w.host.record({ user: 'robot' }));
    const more = { username: 'robot', remoteAddr: LOCAL };
    return ended(w.aboutRequest(answer), more, { class: 'policy', rule: 'robots' });
  },
  grant_used_offline: async (w) => {
    const about = { hostId: w.host.id, user: 'robot', reason: REASON, createdAt: w.clock.now() };
    const { offlineGrant, challengeId } = await w.host.create(grantableRecord(about));
    const used = grantUse({ at: w.clock.now(), grant: offlineGrant!, record: grantableRecord(about) });
    assert.equal((await w.host.send('POST', '/offline-grants/journal', used)).status, 200);
    return {
      ...NOTHING,
      username: 'robot',
      hostId: w.host.id,
      hostname: 'web1.example.com',
      challengeId: TEXT,
      code: TEXT,
      reason: REASON,
      remoteAddr: LOCAL,
      data: {
        requestHash: HASH,
        runAs: 'root',
        command: TEXT,
        policyVersion: HASH,
        rule: 'robots',
        grantedWith: challengeId,
        grantedAt: NUMBER,
        usedAt: NUMBER,
        problem: null,
        journalHash: used.hash,
        gap: false,
      },
    };
  },
  challenge_approved: async (w) => {
    const answer = await w.host.create();
    assert.equal(await w.decide('approve', answer), null);
    const isOne: Looks = (value) => Array.isArray(value) && value.length === 1 && HASH(value[0]);
    const credentialIds: Looks = (value) => Array.isArray(value) && value[0] === w.alice.passkey.credentialId;
    const data = { class: 'passkey', approver: about('alice'), credentialIds, assertionIds: isOne };
    return ended(w.aboutRequest(answer), { actor: 'alice', remoteAddr: ADDRESS }, data);
  },
  challenge_rejected: async (w) => {
    const answer = await w.host.create();
    assert.equal(await w.decide('deny', answer), null);
    const more = { actor: 'alice', reason: REASON, remoteAddr: ADDRESS };
    return ended(w.aboutRequest(answer), more, { class: 'session', approver: about('alice') });
  },
  challenge_cancelled: async (w) => {
    const answer = await w.host.create();
    await w.host.send('DELETE', `/challenges/${answer.challengeId}`);
    return ended(w.aboutRequest(answer), { remoteAddr: LOCAL });
  },
  challenge_outcome: async (w) => {
    const answer = await w.host.create();
    await w.decide('approve', answer);
    const told = { outcome: 'granted', detail: null };
    assert.equal((await w.host.send('POST', `/challenges/${answer.challengeId}/outcome`, told)).status, 204);
    return { ...w.aboutRequest(answer), remoteAddr: LOCAL, data: told };
  },
  challenge_run: async (w) => {
    const answer = await w.host.create();
    await w.decide('approve', answer);
    const run = { state: 'ended', exitStatus: 3, signal: null, durationMs: 3000 };
    assert.equal((await w.host.send('POST', `/challenges/${answer.challengeId}/run`, run)).status, 204);
    return { ...w.aboutRequest(answer), remoteAddr: LOCAL, data: { ...run, reason: null } };
  },
  decision_refused: async (w) => {
    const answer = await w.host.create();
    const { challengeId } = answer;
    assert.equal((await w.alice.mutate('challenges.approve', { challengeId })).refusal, 'passkey_required');
    const data = { refusal: 'passkey_required', sessionKind: 'browser' };
    return { ...w.aboutRequest(answer), actor: 'alice', remoteAddr: ADDRESS, data };
  },
  challenge_expired: async (w) => {
    await passTime(w, w.config.challengeTtlMs * 2);
    const from = (await w.app.events.head()).seq;
    const answer = await w.host.create();
    // It asks again and again, as a host does that waits.
    for (let left = w.config.challengeTtlMs + 1000; left > 0; left -= 5000) {
      await w.host.send('GET', `/challenges/${answer.challengeId}?wait=0`);
      await passTime(w, 5000);
    }
    return { ...ended(w.aboutRequest(answer), {}), from };
  },

  user_logged_in: async (w) => {
    await w.signIn('dora', { passkey: false });
    const data = { ...about('dora'), session: TEXT, kind: 'browser' };
    return { ...NOTHING, username: 'dora', remoteAddr: ADDRESS, data };
  },
  account_bound: async (w) => {
    await w.signIn('emil', { passkey: false });
    const data = { account: 'emil', ...about('emil') };
    return { ...NOTHING, username: 'emil', remoteAddr: ADDRESS, data };
  },
  account_binding_held: async (w) => {
    await w.signIn('emil', { passkey: false, subject: 'another emil' });
    const data = { account: 'emil', issuer: ISSUER, subject: 'another emil', owner: about('emil') };
    return { ...NOTHING, username: 'emil', remoteAddr: ADDRESS, data };
  },
  account_binding_rejected: async (w) => {
    const { data: listed } = await w.olga.query<{ id: string; subject: string }[]>('people.list');
    const { id: personId } = listed.find(({ subject }) => subject === 'another emil')!;
    assert.equal((await w.olga.mutate('people.rejectBinding', { account: 'emil', personId })).refusal, null);
    const data = { account: 'emil', ...about('emil'), rejected: { issuer: ISSUER, subject: 'another emil' } };
    return { ...NOTHING, username: 'emil', actor: 'olga', remoteAddr: ADDRESS, data };
  },
  login_failed: async (w) => {
    const { browser } = await testStranger(w.app, w.provider, w.clock);
    const state = await browser.beginSignIn();
    w.provider.next = { ok: false, problem: 'invalid_answer', detail: 'a token that nobody signed' };
    await browser.get(`/callback?code=c&state=${encodeURIComponent(state)}`);
    return { ...NOTHING, reason: 'invalid_answer', remoteAddr: ADDRESS };
  },
  user_logged_out: async (w) => {
    const fred = await w.signIn('fred', { passkey: false });
    assert.equal((await fred.mutate('sessions.signOut', undefined)).refusal, null);
    const isOne: Looks = (value) => Array.isArray(value) && value.length === 1;
    return { ...NOTHING, username: 'fred', remoteAddr: ADDRESS, data: { sessions: isOne, ...about('fred') } };
  },
  session_revoked: async (w) => {
    await w.signIn('gina', { passkey: false });
    const gina = await w.signIn('gina', { passkey: false });
    assert.equal((await gina.mutate('sessions.revokeOthers', undefined)).refusal, null);
    const isOne: Looks = (value) => Array.isArray(value) && value.length === 1;
    return { ...NOTHING, username: 'gina', remoteAddr: ADDRESS, data: { sessions: isOne, ...about('gina') } };
  },

  passkey_added: async (w) => {
    await w.signIn('hugo');
    const data = { ...about('hugo'), credentialId: TEXT, name: 'first', backupEligible: IS, backedUp: IS, by: TEXT };
    return { ...NOTHING, username: 'hugo', remoteAddr: ADDRESS, data };
  },
  approver_keys_published: async (w) => {
    await w.signIn('ines');
    return { ...NOTHING, username: 'ines', remoteAddr: ADDRESS, data: { version: NUMBER, keys: NUMBER } };
  },
  passkey_renamed: async (w) => {
    const { credentialId } = w.erin.passkey;
    assert.equal((await w.erin.mutate('passkeys.rename', { credentialId, name: 'Blue' })).refusal, null);
    const data = { ...about('erin'), credentialId, name: 'Blue' };
    return { ...NOTHING, username: 'erin', remoteAddr: ADDRESS, data };
  },
  recovery_code_created: async (w) => {
    const personId = await w.personId('alice');
    assert.equal((await w.olga.mutate('people.createRecoveryCode', { personId })).refusal, null);
    const data = { ...about('alice'), expiresAt: NUMBER };
    return { ...NOTHING, username: 'alice', actor: 'olga', remoteAddr: ADDRESS, data };
  },
  passkey_removed: async (w) => {
    await w.erin.browser.addPasskey(w.erin.passkey);
    const { credentialId } = w.erin.passkey;
    const { data: options } = await w.erin.mutate('passkeys.removalOptions', { credentialId });
    const assertion = w.erin.passkey.assert(options as never);
    assert.equal((await w.erin.mutate('passkeys.remove', { credentialId, assertion })).refusal, null);
    const data = { ...about('erin'), credentialId, name: 'Blue', by: credentialId };
    return { ...NOTHING, username: 'erin', remoteAddr: ADDRESS, data };
  },

  notification_channel_added: async ({ olga }) => {
    const made = { name: 'ops', kind: 'slack', settings: { url: 'https://hooks.example.com/secret' }, personal: false };
    assert.equal((await olga.mutate<{ ok: boolean }>('notify.channels.add', made)).data.ok, true);
    const data = { name: 'ops', kind: 'slack', shared: true };
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data };
  },
  notification_channel_changed: async ({ olga }) => {
    const change = { name: 'ops', revision: 1, perMinute: 60, settings: { url: 'https://hooks.example.com/other' } };
    assert.equal((await olga.mutate<{ ok: boolean }>('notify.channels.change', change)).data.ok, true);
    const about = { name: 'ops', kind: 'slack', shared: true };
    const data = { ...about, changed: ['perMinute', 'settings'], enabled: true, paused: false };
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data };
  },
  notification_route_added: async ({ olga }) => {
    const made = await olga.mutate<{ id: string }>('notify.routes.add', { rule: rule(['ops']) });
    routeId = made.data.id;
    const data = { id: routeId, ...rule(['ops']), enabled: true };
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data };
  },
  notification_route_changed: async ({ olga }) => {
    const change = { id: routeId, revision: 1, rule: rule(['ops']), enabled: false };
    assert.equal((await olga.mutate<{ ok: boolean }>('notify.routes.change', change)).data.ok, true);
    const data = { id: routeId, ...rule(['ops']), enabled: false };
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data };
  },
  notification_route_deleted: async ({ olga }) => {
    const gone = await olga.mutate<{ ok: boolean }>('notify.routes.remove', { id: routeId, revision: 2 });
    assert.equal(gone.data.ok, true);
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data: { id: routeId, ...rule(['ops']) } };
  },
  notification_preferences_changed: async ({ alice }) => {
    assert.equal((await alice.mutate<{ ok: boolean }>('notify.preferences.set', { enabled: false })).data.ok, true);
    return { ...NOTHING, username: 'alice', remoteAddr: ADDRESS, data: { ...about('alice'), enabled: false } };
  },
  notification_dead_letters_retried: async (w) => {
    const id = await givenUp(w);
    assert.equal((await w.olga.mutate<{ count: number }>('notify.deliveries.retry', { id })).data.count, 1);
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data: { id, channel: null, count: 1 } };
  },
  notification_dead_letters_discarded: async (w) => {
    const id = await givenUp(w);
    assert.equal((await w.olga.mutate<{ count: number }>('notify.deliveries.discard', { id })).data.count, 1);
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data: { id, channel: null, count: 1 } };
  },
  notification_channel_deleted: async ({ olga }) => {
    assert.equal((await olga.mutate('notify.channels.remove', { name: 'ops' })).refusal, null);
    const data = { name: 'ops', kind: 'slack', shared: true };
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data };
  },

  audit_read: async (w) => {
    await w.olga.query('challenges.history', { search: 'web1' });
    const data = {
      what: 'requests',
      filter: { search: 'web1', status: null },
      rows: NUMBER,
      reads: 1,
      ...about('olga'),
    };
    return { ...NOTHING, actor: 'olga', remoteAddr: ADDRESS, data };
  },
  audit_dead_letters_retried: async ({ app, clock }) => {
    await app.db.transaction((work) =>
      putDeadLetters(work, [{ sink: 'loki', seq: 1, reason: 'too large', at: clock.now() }]),
    );
    assert.equal(await createDeadLetters(app).retry({ sink: 'loki' }, 'olga'), 1);
    return { ...NOTHING, actor: 'olga', data: { sink: 'loki', seq: null, count: 1 } };
  },
  audit_erased: async ({ app, clock }) => {
    const { seq } = await app.events.head();
    for (const end = performance.now() + 30_000; performance.now() < end; ) {
      if ((await app.readers.status()).every((reader) => reader.seq >= seq)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    clock.advance(32 * 86_400_000);
    await app.retention!.run();
    clock.advance(SETTLED_MS);
    await app.retention!.run();
    const events: Looks = (value) => Array.isArray(value) && value.includes('user_logged_in');
    return {
      ...NOTHING,
      data: {
        topic: 'sessions',
        events,
        from: NUMBER,
        to: NUMBER,
        count: NUMBER,
        before: NUMBER,
        archive: like(/^sessions-\d+-\d+-[0-9a-f]{16}\.jsonl$/),
        sha256: HASH,
      },
    };
  },

  directory_numbers_changed: async (w) => {
    const { app: on } = await w.directory();
    const first: Looks = (value) => Array.isArray(value) && value.length === 4;
    const data = { assigned: 4, changed: 0, first };
    return { ...NOTHING, on, from: 0, data };
  },
  directory_published: async (w) => {
    const { app: on } = await w.directory();
    const data = { people: 2, groups: NUMBER, sudoRules: NUMBER, source: 'file', hash: HASH, held: 0 };
    return { ...NOTHING, on, from: 0, data };
  },
  sudo_rule_modified: async (w) => {
    const d = await w.directory();
    const from = (await d.app.events.head()).seq;
    const rule = ruleInput.parse({ group: 'web', commands: ['/usr/bin/id'] });
    const { refusal, data } = await d.olga.mutate('sudoRules.create', { rule, acknowledged: true });
    assert.equal(refusal, null, JSON.stringify(data));
    const after: Looks = (value) => JSON.stringify(value).includes('/usr/bin/id');
    const said = { name: 'web', before: null, after };
    return { ...NOTHING, on: d.app, from, actor: 'olga', reason: 'created', remoteAddr: ADDRESS, data: said };
  },
  directory_change_held: async (w) => {
    const d = await w.directory();
    const host = await enrolTestHost(d.app, d.clock, 'db1.example.com', { reports: true });
    const accounts: [string, number, number][] = [['carol', 1000, 1000]];
    assert.equal((await host.report({ accounts })).status, 204);
    const from = (await d.app.events.head()).seq;
    await d.serve(['alice', 'bob', 'carol'].map(user));
    const data = { holdId: UUID, subject: 'account carol', ...NAME_THAT_GIVES_POWER };
    return { ...NOTHING, on: d.app, from, reason: 'power_name', data };
  },
  directory_change_rejected: async (w) => {
    const d = await w.directory();
    const [held] = await d.app.directory!.directory.holds();
    const from = (await d.app.events.head()).seq;
    assert.equal((await d.olga.mutate('directory.reject', { id: held!.id, digest: held!.digest })).refusal, null);
    const data = { holdId: held!.id, subject: 'account carol', was: 'open', ...NAME_THAT_GIVES_POWER };
    return { ...NOTHING, on: d.app, from, actor: 'olga', reason: 'power_name', remoteAddr: ADDRESS, data };
  },
  directory_change_confirmed: async (w) => {
    const d = await w.directory();
    const [held] = await d.app.directory!.directory.holds();
    const from = (await d.app.events.head()).seq;
    const seen = { id: held!.id, digest: held!.digest, was: 'rejected' };
    assert.equal((await d.olga.mutate('directory.confirm', seen)).refusal, null);
    const data = { holdId: held!.id, subject: 'account carol', was: 'rejected', ...NAME_THAT_GIVES_POWER };
    return { ...NOTHING, on: d.app, from, actor: 'olga', reason: 'power_name', remoteAddr: ADDRESS, data };
  },
  directory_number_adopted: async (w) => {
    const d = await w.directory();
    await d.serve([user('alice2'), user('bob')]);
    const from = (await d.app.events.head()).seq;
    const settings = directorySettingsOf(d.config, d.config.ldap!);
    const tools = createUidMapTools({ ...d.app, settings, mapFile: null, actor: 'identree-server' });
    await tools.adopt(await tools.find('sub-alice', true), await tools.find('sub-alice2', false));
    const two: Looks = (value) => Array.isArray(value) && value.length === 2;
    const data = { from: 'sub-alice', to: 'sub-alice2', numbers: two, reserved: two };
    return { ...NOTHING, on: d.app, from, username: TEXT, actor: 'identree-server', data };
  },
  directory_name_released: async (w) => {
    const d = await w.directory();
    await d.serve([user('alice2')]);
    const from = (await d.app.events.head()).seq;
    assert.equal((await d.olga.mutate('directory.releaseName', { name: 'bob' })).refusal, null);
    return { ...NOTHING, on: d.app, from, username: 'bob', actor: 'olga', remoteAddr: ADDRESS };
  },

  scim_client_created: async (w) => {
    const s = await w.scim();
    const from = (await s.app.events.head()).seq;
    const { id } = await s.client();
    const data = { clientId: id, name: 'idp', issuer: TEST_ISSUER, scopes: '', expiresAt: NUMBER };
    return { ...NOTHING, on: s.app, from, actor: 'root-admin', data };
  },
  scim_resource_changed: async (w) => {
    const s = await w.scim();
    const { call } = await s.client({ name: 'second' });
    const from = (await s.app.events.head()).seq;
    const made = await call('POST', '/Users', testUser('alice'));
    const data = { kind: 'User', id: made.body.id, externalId: 'ext-alice', name: 'alice', issuer: TEST_ISSUER };
    const said = { username: 'alice', actor: 'scim second', reason: 'created', remoteAddr: LOCAL };
    return { ...NOTHING, ...said, on: s.app, from, data };
  },
  scim_client_revoked: async (w) => {
    const s = await w.scim();
    const { id } = await s.client({ name: 'third' });
    const from = (await s.app.events.head()).seq;
    await s.scim.revokeClient(id, { username: 'olga', remoteAddr: ADDRESS });
    const data = { clientId: id, name: 'third' };
    return { ...NOTHING, on: s.app, from, actor: 'olga', remoteAddr: ADDRESS, data };
  },
};

/** Members of a line that those of the event have to be in, under the names of earlier versions. */
function compareLine(event: LoggedEvent): void {
  const line = JSON.parse(auditRecord(event).text) as Record<string, unknown>;
  const told = {
    seq: event.seq,
    prev_hash: event.prevHash,
    timestamp: new Date(Math.floor(event.at / 1000) * 1000).toISOString().replace('.000Z', 'Z'),
    event: event.event,
    username: event.username,
    hostname: event.hostname ?? undefined,
    code: event.code ?? undefined,
    actor: event.actor ?? undefined,
    reason: event.reason ?? undefined,
    remote_addr: event.remoteAddr ?? undefined,
    source: 'identree',
    at: event.at,
    outcome: eventOutcome(event.event),
    request_id: event.challengeId ?? undefined,
  };
  for (const [member, value] of Object.entries(told)) assert.equal(line[member], value, member);
}

test('[A-13] every event of earlier versions kept its name, or it is said what became of it', () => {
  const names = [
    ...['challenge_created', 'auto_approved', 'challenge_approved', 'challenge_rejected', 'challenge_expired'],
    ...['break_glass_policy_override', 'session_revoked', 'sessions_revoked_bulk', 'session_extended'],
    ...['grace_elevated', 'user_logged_in', 'breakglass_escrowed', 'revealed_breakglass'],
    ...['breakglass_rotation_requested', 'break_glass_used', 'host_removed', 'deployed', 'user_removed'],
    ...['claims_updated', 'sudo_rule_modified', 'config_changed', 'server_restarted', 'certificate_issued', 'test'],
    ...['notification_channel_added', 'notification_channel_deleted'],
    ...['notification_route_added', 'notification_route_deleted'],
  ];
  const known = new Set([...Object.keys(EVENTS), ...Object.keys(EARLIER_EVENTS)]);
  assert.deepEqual(
    names.filter((name) => !known.has(name)),
    [],
  );
  const twice = Object.keys(EARLIER_EVENTS).filter((name) => Object.hasOwn(EVENTS, name));
  assert.deepEqual(twice, []);
  const silent = Object.entries<Earlier>({ ...EARLIER_EVENTS, ...EARLIER_SILENCE });
  for (const [what, { now, text }] of silent) assert.ok(now !== null || text !== '', what);
});

describe('[A-13] every event', () => {
  let world: Promise<World> | null = null;
  after(async () => {
    for (const close of closing.toReversed()) await close();
  });
  for (const name of Object.keys(SCENARIOS) as EventName[]) {
    test(`${name}: ${EVENTS[name].text}`, async () => {
      world ??= openWorld();
      const w = await world;
      // A new minute for every limit.
      w.clock.advance(61_000);
      // However many events there are by now, nobody has been idle for too long.
      for (const person of [w.olga, w.erin, w.alice]) await person.query('challenges.inbox');
      const before = (await w.app.events.head()).seq;
      const { on = w.app, from = before, ...said } = await SCENARIOS[name](w);
      const found = (await on.events.read(from, 1000)).filter(({ event }) => event === name);
      assert.equal(found.length, 1, 'once');
      const event = found[0]!;
      const { username, hostId, hostname, challengeId, code, actor, reason, remoteAddr, data } = event;
      compare({ username, hostId, hostname, challengeId, code, actor, reason, remoteAddr, data }, said, name);
      compareLine(event);
    });
  }
});
