import assert from 'node:assert/strict';
import { chmod, rm } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { ToldDefaults } from '#shared/client-defaults.ts';
import { openCertificates } from '../app.ts';
import { writeHashFile } from '../break-glass/hash-file.ts';
import { generateTlsKey } from '../certificates/key.ts';
import { loadClientConf } from '../config/client-conf.ts';
import { stateFiles } from '../paths.ts';
import { directoryUse, writeDirectoryUse } from '../sssd/settings.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { checkpointText, NOTHING_SEEN, type StoredCheckpoint } from '../state/checkpoint.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { createHostTree } from '../testing/host-tree.ts';
import { tellHostAt } from '../testing/tell-defaults.ts';
import { reportStatus } from './status.ts';

const DAY = 86_400_000;

async function world(conf = '') {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server, conf);
  const certificates = openCertificates(enrolled.paths);
  const key = await generateTlsKey('web1.example.com');
  return {
    server,
    paths: enrolled.paths,
    told: (defaults: ToldDefaults['defaults']) => tellHostAt(enrolled.paths, server, defaults),
    /** A certificate of which so many days have passed and so many are left. */
    async aged(passed: number, left: number) {
      const names = ['dns:web1.example.com', `url:urn:uuid:${enrolled.hostId}`];
      const life = { from: Date.now() - passed * DAY, until: Date.now() + left * DAY };
      const certificate = await server.ca.issue(key.csr, names, life);
      await certificates.put({ certificate, key: key.pem, ca: server.ca.pem });
    },
    certificates,
    async status(run = async () => ({ code: 1, output: '' })) {
      const lines: string[] = [];
      const code = await reportStatus(enrolled.paths, { json: false }, (line) => lines.push(line), run, enrolled.dir);
      return { code, text: lines.join('\n') };
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await enrolled.remove();
    },
  };
}

describe('status: the event log', () => {
  it('a log that contradicts what was seen: since when, and what to run on the server', async () => {
    await using w = await world();
    assert.match((await w.status()).text, /^Event log seen +up to 0, not signed$/m);
    const path = stateFiles(w.paths.state).checkpoint;
    const seen: StoredCheckpoint = {
      ...NOTHING_SEEN,
      seq: 100,
      contradiction: { kind: 'rolled_back', seq: 80, at: Date.UTC(2026, 1, 3) },
    };
    await atomicWrite(path, checkpointText(seen));
    const { code, text } = await w.status();
    assert.equal(code, 1);
    assert.match(text, /ended at 80 on 2026-02-03T00:00:00\.000Z; this host has seen it up to 100/);
    assert.match(text, /identree-server restore accept/);
  });
});

describe('status: the certificate', () => {
  it('says until when it is good', async () => {
    await using w = await world();
    await w.aged(100, 201.5);
    const { text } = await w.status();
    assert.match(text, /^Certificate +until \d{4}-\d\d-\d\d, 201 days left$/m);
    assert.match(text, /^Authority +until \d{4}-\d\d-\d\d$/m);
    assert.doesNotMatch(text, /renewed/);
  });

  it('warns in the last third of its life, with what the last attempt came to', async () => {
    await using w = await world();
    await w.aged(201, 99.5);
    assert.match(
      (await w.status()).text,
      /99 days left\n +It should have been renewed by now\. Run: identree renew-cert/,
    );
    const problem = 'The server could not be reached.';
    await atomicWrite(stateFiles(w.paths.state).renewal, JSON.stringify({ at: Date.now(), problem }));
    assert.match((await w.status()).text, /The last attempt failed: The server could not be reached\./);
    await w.aged(400, -1);
    assert.match((await w.status()).text, /has ended/);
  });

  it('one that is missing or not for this host is told', async () => {
    await using w = await world();
    await w.certificates.put({ certificate: 'x', key: 'y', ca: 'z' });
    const { code, text } = await w.status();
    assert.equal(code, 1);
    assert.match(text, /Certificate +not in order\n +it cannot be read\. Run: identree renew-cert/);
  });
});

describe('status: before enrolment', () => {
  it('says that this host is not enrolled, and of nothing that it is damaged', async () => {
    await using w = await world();
    await rm(w.paths.state, { recursive: true });
    const { code, text } = await w.status();
    assert.equal(code, 1);
    assert.match(text, /^Identity +not in order\n +This host is not enrolled/m);
    assert.match(text, /^Requests made +not in order$/m);
    assert.equal(text.match(/This host is not enrolled/g)?.length, 1, 'one reason for many things is said once');
    assert.doesNotMatch(text, /damaged|renew-cert/);
  });
});

describe('status: the server', () => {
  it('several are told one by one, and one that is dead is no fault while another answers', async () => {
    const server = await createFakeServer();
    const replica = await server.replica();
    const enrolled = await createEnrolledHost(server, '', [replica.url]);
    const status = async () => {
      const lines: string[] = [];
      const run = async () => ({ code: 1, output: '' });
      const code = await reportStatus(enrolled.paths, { json: true }, (line) => lines.push(line), run, enrolled.dir);
      const told: { lines: { what: string; value: string; problem: string | null }[] } = JSON.parse(lines[0]!);
      return { code, servers: told.lines.filter(({ what }) => what === 'Server') };
    };
    try {
      const both = await status();
      assert.deepEqual(
        both.servers.map(({ value }) => value),
        [`${server.url}, answers`, `${replica.url}, answers`],
      );
      await server.close();
      const one = await status();
      assert.match(one.servers[0]!.value, /does not serve: ECONNREFUSED/);
      assert.equal(one.servers[1]!.value, `${replica.url}, answers`);
      assert.equal(one.code, both.code);
    } finally {
      await replica.close();
      await enrolled.remove();
    }
  });

  it('one that is away is a fault at once, whatever the last contact was; one that only keeps strangers out is not', async () => {
    await using w = await world();
    assert.match((await w.status()).text, new RegExp(`^Server +${w.server.url}, answers$`, 'm'));
    const nobody = /nobody can approve anything on this host/;
    w.server.healthStatus = 403;
    assert.doesNotMatch((await w.status()).text, nobody);
    w.server.healthStatus = 502;
    assert.match((await w.status()).text, nobody);
    await w.server.close();
    const { code, text } = await w.status();
    assert.equal(code, 1);
    assert.match(text, new RegExp(`^Server +${w.server.url}, does not serve: ECONNREFUSED.*\\n +As long as`, 'm'));
  });

  it('is quoted with what it says is odd about itself, which is no fault of this host', async () => {
    await using w = await world();
    assert.doesNotMatch((await w.status()).text, /Server says/);
    const before = (await w.status()).code;
    const proxy = 'requests come with X-Forwarded-For from an address that IDENTREE_TRUSTED_PROXIES does not list';
    w.server.health = { status: 'ok', checks: { proxy: 'ok' }, details: { proxy: `${proxy}\u001b[2J` } };
    const { code, text } = await w.status();
    assert.match(text, new RegExp(`^Server says +proxy: ${proxy}`, 'm'));
    assert.equal(text.includes('\u001b'), false, 'no control character reaches the terminal');
    assert.equal(code, before);
    for (const odd of [{ details: 'x' }, { details: { proxy: 7 } }, [], { now: 'x', checks: 7, status: null }]) {
      w.server.health = odd;
      assert.doesNotMatch((await w.status()).text, /Server says/);
    }
  });

  it('[M-05] is quoted with what does not work there, in one line each', async () => {
    await using w = await world();
    const { code } = await w.status();
    const details = { oidc: 'calls itself https://other.example', settings: 'one setting is odd' };
    const checks = { policy: 'broken', oidc: 'misconfigured', database: 'ok', settings: 'ok' };
    w.server.health = { status: 'unhealthy', checks, details };
    const said = await w.status();
    assert.match(said.text, /^Server says +policy is broken$/m);
    assert.match(said.text, /^Server says +oidc is misconfigured: calls itself https:\/\/other\.example$/m);
    assert.match(said.text, /^Server says +settings: one setting is odd$/m);
    assert.equal(said.text.match(/^Server says/gm)?.length, 3);
    assert.equal(said.code, code, 'nothing of it is a fault of this host');
  });
});

describe('status: the clock', () => {
  it('is held against that of the server as of now, whatever the last heartbeat found', async () => {
    await using w = await world();
    const kept = { at: Date.now(), result: 'ok', hostState: 'active', message: null, clockOffset: 7_200_000 };
    const numbers = { approverKeysVersion: 0, checkpointSeq: 0 };
    await atomicWrite(stateFiles(w.paths.state).health, JSON.stringify({ ...kept, ...numbers }));
    assert.doesNotMatch((await w.status()).text, /timedatectl/);
    w.server.clockAhead = 600_000;
    assert.match(
      (await w.status()).text,
      /^Clock +(59\d|60\d) seconds behind the server's\n +The server refuses hosts whose clock differs by more than 60 seconds\. Set the clock: timedatectl set-ntp true$/m,
    );
    w.server.clockAhead = -600_000;
    assert.match((await w.status()).text, /^Clock +(59\d|60\d) seconds ahead of the server's\n +The server refuses/m);
    w.server.clockAhead = 40_000;
    assert.match((await w.status()).text, /^Clock +\d+ seconds behind the server's\n(?! )/m);
    w.server.health = { now: null };
    assert.doesNotMatch((await w.status()).text, /^Clock/m, 'an earlier server says nothing of its clock');
  });
});

describe('status: the directory', () => {
  it('is not mentioned where none was set up', async () => {
    await using w = await world();
    assert.doesNotMatch((await w.status()).text, /Directory|sssd/);
  });

  it('names the cause, and what sssd is at', async () => {
    await using w = await world();
    const settings = {
      v: 1 as const,
      nonce: '',
      serverId: '',
      hostId: '',
      ldapUrl: 'ldaps://localhost:9',
      baseDn: 'dc=example,dc=com',
      mode: 'full' as const,
      caBundle: w.server.ca.pem,
      clientCertificates: 'optional' as const,
      anonymous: false,
      bind: null,
    };
    const file = stateFiles(w.paths.state).directory;
    await writeDirectoryUse(file, directoryUse(settings, { client: 'sssd', startTls: false }));
    const active = await w.status(async () => ({ code: 0, output: 'active' }));
    assert.match(
      active.text,
      /Directory +ldaps:\/\/localhost:9, does not serve this host\n +Nothing listens at localhost:9/,
    );
    assert.match(active.text, /^sssd +running, on what it remembers$/m);
    const dead = await w.status(async () => ({ code: 3, output: 'failed' }));
    assert.match(dead.text, /^sssd +failed\n +Run: systemctl restart sssd/m);
    await writeDirectoryUse(file, directoryUse(settings, { client: 'sudo', startTls: false }));
    assert.doesNotMatch((await w.status()).text, /^sssd/m);
  });
});

describe('status: what the host grants besides', () => {
  it('is a section of its own, in JSON too, and no reason to fail', async () => {
    await using w = await world();
    await w.aged(100, 201.5);
    assert.match((await w.status()).text, /^What this host grants besides\n {2}Nothing was found\.$/m);
    await using host = await createHostTree({ '/etc/sudoers': 'ubuntu ALL=(ALL) NOPASSWD:ALL\n' });
    const report = async (json: boolean) => {
      const lines: string[] = [];
      const run = async () => ({ code: 1, output: '' });
      await reportStatus(w.paths, { json }, (line) => lines.push(line), run, host.root);
      return lines.join('\n');
    };
    assert.match(await report(false), /^ {4}! ubuntu: any command as any user \(sudo, \/etc\/sudoers:1\)$/m);
    const told = JSON.parse(await report(true)) as {
      gate: string | null;
      grants: unknown[];
      lines: { what: string }[];
    };
    assert.equal(told.gate, null);
    assert.match(await report(false), /^sudo +nobody asks, until: identree setup --pam sudo,sudo-i$/m);
    assert.match(await report(false), /^ {2}Without a password, and with no request to identree:$/m);
    assert.deepEqual(told.grants, [
      {
        kind: 'sudoers',
        who: { type: 'user', name: 'ubuntu' },
        except: [],
        gives: 'any command as any user',
        withoutPassword: true,
        file: '/etc/sudoers',
        line: 1,
      },
    ]);
    assert.ok(
      told.lines.every(({ what }) => what !== 'ubuntu'),
      'lines are what keeps this host from working',
    );
  });

  it('a line of sudoers for one account that leads past the gate keeps it from working', async () => {
    await using w = await world();
    await using host = await createHostTree({
      '/etc/pam.d/sudo': 'auth [success=done default=ignore] /usr/lib/identree/pam_identree.so sudo\n',
      '/etc/sudoers': 'Defaults:deploy timestamp_timeout=15\n',
    });
    const lines: string[] = [];
    const run = async () => ({ code: 1, output: '' });
    assert.equal(await reportStatus(w.paths, { json: false }, (line) => lines.push(line), run, host.root), 1);
    assert.match(lines.join('\n'), /^ +\/etc\/sudoers:1 sets timestamp_timeout: sudo keeps a ticket.*\. Remove it\.$/m);
  });
});

describe('status: settings', () => {
  it('says which value comes from where', async () => {
    await using w = await world('IDENTREE_TIMEOUT=90s\n');
    const line = async () => /^Settings +(.*)$/m.exec((await w.status()).text)?.[1];
    const pattern =
      'timeout 1m30s (client.conf), break-glass on (built in), its password random (built in), replaced after 90 days (built in)';
    assert.equal(await line(), pattern);
    await w.told({ timeoutMs: 60_000, breakGlassEnabled: false, breakGlassRotationDays: 7 });
    assert.equal(
      await line(),
      'timeout 1m30s (client.conf), break-glass off (server), its password random (built in), replaced after 7 days (server)',
    );
    assert.match((await w.status()).text, /^Break-glass +turned off: no password opens this host$/m);
  });

  it('what the server told and this host does not take is a problem', async () => {
    await using w = await world();
    await w.told({ breakGlassRotationDays: 0, breakGlassEnabled: false });
    const { code, text } = await w.status();
    assert.equal(code, 1);
    assert.match(
      text,
      /^Settings +timeout 15m .*break-glass on \(built in\).*\n +None of the settings that the server told last counts: breakGlassRotationDays cannot be 0 here\. Those of before do\.$/m,
    );
    await w.told({ breakGlassRotationDays: 1 });
    assert.doesNotMatch((await w.status()).text, /None of the settings/);
  });

  it('a setting that is misspelt is a problem, once for each', async () => {
    await using w = await world('IDENTREE_MINIMUM_CLAS=passkey\nIDENTREE_SHARED_SECRET=x\n');
    const { code, text } = await w.status();
    assert.equal(code, 1);
    assert.match(
      text,
      /^ +client\.conf: IDENTREE_MINIMUM_CLAS is no setting, so it changes nothing\. Is IDENTREE_MINIMUM_CLASS meant\?$/m,
    );
    assert.match(text, /^ +client\.conf: IDENTREE_SHARED_SECRET is no setting, so it changes nothing\. Remove it\.$/m);
  });
});

describe('status: break-glass', () => {
  it('says how old the password is, who knows it, and what is wrong with it', async () => {
    await using w = await world();
    const line = async () => /^Break-glass +(.*)$/m.exec((await w.status()).text)?.[1];
    assert.equal(await line(), 'no password: while the server is dead, nobody gets in');
    const { file } = (await loadClientConf(w.paths.config)).breakGlass;
    const stored = { hash: `$2b$12$${'a'.repeat(53)}`, createdAt: Date.now() - 3 * DAY, type: 'random' };
    await writeHashFile(file, 'web1', { ...stored, escrowId: 'x', sealedTo: null });
    assert.equal(await line(), 'a password of 3 days ago, the server keeps it');
    await writeHashFile(file, 'web1', { ...stored, createdAt: Date.now() - 120 * DAY, escrowId: null, sealedTo: null });
    assert.equal(await line(), 'a password of 120 days ago, only who made it knows it');
    assert.match((await w.status()).text, /It should have been replaced by now/);
    await chmod(file, 0o644);
    assert.match((await w.status()).text, /has mode 0644/);
  });
});
