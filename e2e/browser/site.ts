import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'ldapts';
import type { HostRecord } from '#shared/decision.ts';
import { canonicalSha256, sha256 } from '#shared/digest.ts';
import { grantableRecord, grantEnd, grantRun, grantUse } from '#shared/testing/grant-entry.ts';
import { createApp } from '../../server/src/app/app.ts';
import { putDeadLetters } from '../../server/src/audit/dead-letter-store.ts';
import type { Config } from '../../server/src/config/config.ts';
import { kysely } from '../../server/src/db/query.ts';
import { systemClock } from '../../server/src/platform/clock.ts';
import { fileGroup, fileIdOf, fileUser } from '../../server/src/testing/directory-file.ts';
import { freePort } from '../../server/src/testing/free-port.ts';
import { journalBeats } from '../../server/src/testing/journal-beat.ts';
import { runOn } from '../../server/src/testing/run-command.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { enrolBody, enrolTestHost, sendEnrol, type TestHost } from '../../server/src/testing/test-host.ts';
import { startIdp } from '../harness/idp.ts';
import {
  BASE_DN,
  type DirectoryContent,
  FIRST_DIRECTORY,
  FRESH,
  FRESH_ADMINS,
  HOSTS,
  NAMED,
  SHARED_SECRET,
  type SiteCall,
  type SiteCommands,
  type SiteMessage,
  TOWNS,
} from './site-commands.ts';

/** The server under test, in a process of its own. Playwright forks it and talks to it with {@link SiteCommands}. */

const send = (message: SiteMessage): void => void process.send?.(message);

const SERVICE = { dn: `cn=readonly,${BASE_DN}`, password: 'the service account of the browser tests' };

/** What the file source reads. People sign in with `sub-<name>`, so that is who they are. */
function directoryFile({ users, groups }: DirectoryContent): string {
  const idOf = new Map(users.map(({ username, id }) => [username, id ?? fileIdOf(username)]));
  return JSON.stringify({
    users: users.map(({ username, claims }) => ({ ...fileUser(username, claims), id: idOf.get(username) })),
    groups: groups.map(({ name, members, claims }) =>
      fileGroup(
        name,
        members.flatMap((member) => idOf.get(member) ?? []),
        claims,
      ),
    ),
  });
}

/** Takes the trust root of an installation that has run once off line, as its operator would. */
async function takeRootOffLine(config: Config, file: string): Promise<void> {
  await (await createApp(config)).close();
  for (const step of ['export', 'detach']) {
    const { code, err } = await runOn(['trust', step, file], config);
    if (code !== 0) throw new Error(err);
  }
}

async function start(town: string) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-browser-'));
  const port = await freePort();
  // Passkeys need a name; browsers take `localhost` for secure.
  const url = `http://localhost:${port}`;
  const person = (username: string, groups: string[]) => ({
    username,
    name: `${username[0]!.toUpperCase()}${username.slice(1)} Example`,
    groups,
  });
  const idp = await startIdp({
    redirectUris: [`${url}/callback`],
    users: [
      ...NAMED.map((one) => ({ ...one, groups: [...one.groups] })),
      ...FRESH.map((name) => person(name, ['developers'])),
      ...FRESH_ADMINS.map((name) => person(name, ['identree-admins'])),
    ],
  });
  const policiesFile = join(folder, 'policies.json');
  const policies = [
    ...(town === 'granting' ? [{ name: 'robots', match_users: ['robot'], approval: 'none' }] : []),
    { name: 'lab', match_hosts: ['lab*'], approval: 'session' },
    { name: 'databases', match_hosts: ['db*'], approval: 'passkey', require_admin: true },
    { name: 'default', approval: 'passkey' },
  ];
  await writeFile(policiesFile, JSON.stringify({ policies }), { mode: 0o600 });
  const directoryPath = join(folder, 'directory.json');
  await writeFile(directoryPath, directoryFile(FIRST_DIRECTORY), { mode: 0o600 });
  const config = testConfig(folder, {
    IDENTREE_EXTERNAL_URL: url,
    IDENTREE_LISTEN_ADDR: `127.0.0.1:${port}`,
    // Each browser of a test says which address it has, so that limits by address count it on its own.
    IDENTREE_TRUSTED_PROXIES: '127.0.0.1',
    IDENTREE_OIDC_ISSUER_URL: idp.issuer,
    IDENTREE_OIDC_CLIENT_ID: idp.clientId,
    IDENTREE_OIDC_CLIENT_SECRET: idp.clientSecret,
    IDENTREE_ADMIN_GROUPS: 'identree-admins',
    IDENTREE_APPROVAL_POLICIES_FILE: policiesFile,
    IDENTREE_SHARED_SECRET: SHARED_SECRET,
    IDENTREE_LDAP_BASE_DN: BASE_DN,
    IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
    IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
    IDENTREE_LDAP_EXTERNAL_URL: 'ldaps://identree.example.com',
    IDENTREE_LDAP_BIND_DN: SERVICE.dn,
    IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
    IDENTREE_DIRECTORY_SOURCE: 'file',
    IDENTREE_DIRECTORY_FILE: directoryPath,
    IDENTREE_SUDO_SOURCE: 'both',
    IDENTREE_ESCROW_BACKEND: 'local',
    IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
    IDENTREE_AUDIT_LOG: `file:${join(folder, 'log', 'audit.jsonl')}`,
    ...TOWNS[town],
  });
  if (town === 'off-line-root') await takeRootOffLine(config, join(folder, 'root.pem'));
  const app = await createApp(config);
  await app.listen();
  const hosts = new Map<string, TestHost>();
  for (const name of HOSTS) hosts.set(name, await enrolTestHost(app, systemClock, name));

  // A real host asks again within its lease for as long as somebody waits in front of it.
  const open = new Map<string, TestHost>();
  const polling = setInterval(() => {
    for (const [id, host] of open) {
      void host.send('GET', `/challenges/${id}?wait=0&keys=0`).then(({ body }) => {
        if (body.status !== 'pending') open.delete(id);
      });
    }
  }, 10_000);

  const hostOf = async (id: string): Promise<TestHost> => {
    const row = await kysely(app.db.query)
      .selectFrom('challenges')
      .select('hostname')
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    return hosts.get(row.hostname)!;
  };

  const commands: { [Name in keyof SiteCommands]: (input: never) => Promise<ReturnType<SiteCommands[Name]>> } = {
    async directory(input: Parameters<SiteCommands['directory']>[0]) {
      await writeFile(directoryPath, 'raw' in input ? input.raw : directoryFile(input), { mode: 0o600 });
      const { directory } = app.directory!;
      await directory.settled();
      directory.refresh('watch');
      await directory.settled();
      return null;
    },
    async ldap({ filter, attributes }: Parameters<SiteCommands['ldap']>[0]) {
      const client = new Client({ url: `ldap://127.0.0.1:${app.directory!.ports()[0]}` });
      try {
        await client.bind(SERVICE.dn, SERVICE.password);
        const { searchEntries } = await client.search(BASE_DN, { scope: 'sub', filter, attributes });
        return searchEntries as unknown as Record<string, string | string[]>[];
      } finally {
        await client.unbind();
      }
    },
    async ask({ user, host = HOSTS[0], record = {} }: Parameters<SiteCommands['ask']>[0]) {
      const from = hosts.get(host)!;
      const argv = record.argv ?? ['sudo', 'systemctl', 'restart', 'nginx'];
      const full: Partial<HostRecord> = {
        user,
        argv,
        argvSha256: sha256(`${argv.join('\0')}\0`),
        cwd: `/home/${user}`,
        ...record,
      };
      const answer = await from.create(from.record(full));
      open.set(answer.challengeId, from);
      return { id: answer.challengeId, code: answer.userCode };
    },
    async outcome({ id, outcome, detail = null }: Parameters<SiteCommands['outcome']>[0]) {
      const host = await hostOf(id);
      const { status } = await host.send('POST', `/challenges/${id}/outcome`, { outcome, detail });
      if (status >= 300) throw new Error(`outcome: ${status}`);
      return null;
    },
    async run({ id, run }: Parameters<SiteCommands['run']>[0]) {
      const host = await hostOf(id);
      const { status } = await host.send('POST', `/challenges/${id}/run`, run);
      if (status >= 300) throw new Error(`run: ${status}`);
      return null;
    },
    async useGrant({ other = {}, run }: Parameters<SiteCommands['useGrant']>[0]) {
      const host = hosts.get(HOSTS[0])!;
      const record = (more: Partial<HostRecord> = {}) => {
        const fields = { hostId: host.id, user: 'robot', createdAt: Date.now(), ...more };
        return grantableRecord({ ...fields, nonce: sha256(randomUUID()) });
      };
      const { offlineGrant } = await host.create(record());
      const used = record(other);
      const at = Date.now();
      const use = grantUse({ at, grant: offlineGrant!, record: used });
      const end = grantEnd({ at, nonce: used.nonce, outcome: 'granted', detail: null }, use.hash);
      for (const entry of [use, end, grantRun({ at, nonce: used.nonce, run }, end.hash)]) {
        const { status } = await host.send('POST', '/offline-grants/journal', entry);
        if (status >= 300) throw new Error(`a use of a grant: ${status}`);
      }
      const { seq, code } = await kysely(app.db.query)
        .selectFrom('events')
        .select(['seq', 'code'])
        .where('event', '=', 'grant_used_offline')
        .orderBy('seq', 'desc')
        .executeTakeFirstOrThrow();
      return { seq: Number(seq), code: code! };
    },
    async cancel({ id }: Parameters<SiteCommands['cancel']>[0]) {
      const host = await hostOf(id);
      await host.send('DELETE', `/challenges/${id}`);
      return null;
    },
    async look({ id }: Parameters<SiteCommands['look']>[0]) {
      const row = await kysely(app.db.query)
        .selectFrom('challenges')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      const events = await kysely(app.db.query)
        .selectFrom('events')
        .select('event')
        .where('challenge_id', '=', id)
        .orderBy('seq')
        .execute();
      return {
        status: row.status,
        class: row.class,
        reason: row.reason,
        hasVerdict: row.verdict !== null,
        events: events.map(({ event }) => event),
      };
    },
    async events({ last }: Parameters<SiteCommands['events']>[0]) {
      const rows = await kysely(app.db.query)
        .selectFrom('events')
        .selectAll()
        .orderBy('seq', 'desc')
        .limit(last)
        .execute();
      return rows
        .reverse()
        .map(({ event, username, data }) => ({ event, username, data: JSON.parse(data) as Record<string, unknown> }));
    },
    async expire({ id }: Parameters<SiteCommands['expire']>[0]) {
      await app.db.transaction(async (work) => {
        await kysely(work.query)
          .updateTable('challenges')
          .set({ expires_at: Date.now() - 1000 })
          .where('id', '=', id)
          .execute();
      });
      return null;
    },
    async ageSignIn({ username, ms }: Parameters<SiteCommands['ageSignIn']>[0]) {
      await app.db.transaction(async (work) => {
        const { id } = await kysely(work.query)
          .selectFrom('people')
          .select('id')
          .where('username', '=', username)
          .executeTakeFirstOrThrow();
        await kysely(work.query)
          .updateTable('sessions')
          .set({ auth_time: Date.now() - ms })
          .where('person_id', '=', id)
          .execute();
      });
      return null;
    },
    async setHost({ hostname, set }: Parameters<SiteCommands['setHost']>[0]) {
      await app.db.transaction(async (work) => {
        await kysely(work.query).updateTable('hosts').set(set).where('hostname', '=', hostname).execute();
      });
      return null;
    },
    async waitingHost({ hostname }: Parameters<SiteCommands['waitingHost']>[0]) {
      const request = await enrolBody(hostname, { sharedSecret: SHARED_SECRET });
      const answer = await sendEnrol(app, systemClock, request);
      if (answer.status !== 200) throw new Error(`enrolment: ${answer.status}`);
      return { fingerprint: request.body.apiKey.kid };
    },
    async keepPassword({ hostname, ...what }: Parameters<SiteCommands['keepPassword']>[0]) {
      const from = hosts.get(hostname)!;
      const current = { createdAt: Date.now(), type: 'random' as const };
      const id = randomUUID();
      await from.send('POST', '/break-glass/escrow', { ...current, id, ...what });
      const said = { enabled: true, current: { ...current, escrowId: id }, problem: null };
      const answer = await from.send('POST', '/break-glass/state', said);
      if (answer.status !== 200) throw new Error(`state: ${answer.status}`);
      return null;
    },
    async useBreakGlass({ hostname, record }: Parameters<SiteCommands['useBreakGlass']>[0]) {
      const from = hosts.get(hostname)!;
      const at = Date.now() - 1_800_000;
      // Not the beginning of its journal.
      const prevHash = sha256(randomUUID());
      const entry = { id: randomUUID(), at, outcome: 'opened' as const, record: from.record(record), prevHash };
      const answer = await from.send('POST', '/break-glass/uses', { ...entry, hash: canonicalSha256(entry) });
      if (answer.status !== 200) throw new Error(`a use: ${answer.status}`);
      return null;
    },
    async refuse({ seq, reason }: Parameters<SiteCommands['refuse']>[0]) {
      await app.db.transaction((work) => putDeadLetters(work, [{ sink: 'jsonlog', seq, reason, at: Date.now() }]));
      return null;
    },
    async found({ hostname, lines }: Parameters<SiteCommands['found']>[0]) {
      const from = hosts.get(hostname)!;
      from.counter += 1;
      const { counter, machineId } = from;
      const facts = { approverKeysVersion: 0, checkpointSeq: 0, agentVersion: '0.3.0', osInfo: 'Debian 12 x64' };
      const checks = { at: Date.now(), lines };
      const answer = await from.send('POST', '/heartbeat', { counter, machineId, now: Date.now(), ...facts, checks });
      if (answer.status !== 200) throw new Error(`heartbeat: ${answer.status}`);
      return null;
    },
    async journal({ hostname, entries }: Parameters<SiteCommands['journal']>[0]) {
      const beats = journalBeats({ clock: systemClock }, hosts.get(hostname)!);
      await beats.say({ seq: entries, hash: sha256(`entry ${entries}`), after: null });
      return null;
    },
    async authority({ step }: Parameters<SiteCommands['authority']>[0]) {
      const { code, err } = await runOn(['ca', ...step], config);
      if (code !== 0) throw new Error(err);
      await app.caRotation.reload();
      return null;
    },
    async claim({ account, by }: Parameters<SiteCommands['claim']>[0]) {
      await app.db.transaction(async (work) => {
        const { id } = await kysely(work.query)
          .selectFrom('people')
          .select('id')
          .where('username', '=', by)
          .executeTakeFirstOrThrow();
        const bound = await kysely(work.query)
          .selectFrom('account_bindings')
          .innerJoin('people', 'people.id', 'account_bindings.person_id')
          .select(['people.issuer as owner_issuer', 'people.subject as owner_subject'])
          .where('account', '=', account)
          .executeTakeFirst();
        const owner =
          bound ??
          (await kysely(work.query)
            .selectFrom('directory_names')
            .select(['issuer as owner_issuer', 'subject as owner_subject'])
            .where('name', '=', account)
            .executeTakeFirstOrThrow());
        await kysely(work.query)
          .insertInto('account_claims')
          .values({ account, person_id: id, held_at: Date.now(), ...owner })
          .execute();
      });
      return null;
    },
  };

  process.on('message', (call: SiteCall) => {
    const command = commands[call.name] as (input: unknown) => Promise<unknown>;
    command(call.input).then(
      (result) => send({ kind: 'done', id: call.id, result }),
      (error: unknown) => send({ kind: 'error', id: call.id, message: String(error) }),
    );
  });
  process.on('disconnect', () => {
    clearInterval(polling);
    void Promise.allSettled([app.close(), idp.close()])
      .then(() => rm(folder, { recursive: true, force: true }))
      .finally(() => process.exit(0));
    setTimeout(() => process.exit(1), 5000).unref();
  });
  send({ kind: 'ready', url });
}

start(process.argv[2] ?? '').catch((error: unknown) => {
  send({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exit(1);
});
