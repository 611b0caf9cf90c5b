import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { copyFile, cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'ldapts';
import { type CertificateGrant, certificateGrant, type HostAuthorities } from '#shared/host-api.ts';
import { tokenType, verifyToken } from '#shared/token.ts';
import { createApp } from '../app/app.ts';
import { createCertificateAuthority, makeCaCertificate } from '../certificates/authority.ts';
import { fingerprintOf } from '../platform/authority-files.ts';
import { caKeyPem } from '../platform/key-files.ts';
import { fileUser } from '../testing/directory-file.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp } from '../testing/test-app.ts';
import { openDirectorySite } from '../testing/test-directory.ts';
import { certificateRequest, enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import { createCaRotation } from './ca-rotation.ts';

const BASE = 'dc=example,dc=com';

/** What a host holds of its authorities. */
interface Held {
  certificate: string;
  key: string;
  bundle: string;
}

const pems = (bundle: string): string[] => bundle.split(/(?<=-----END CERTIFICATE-----\n)/).filter((pem) => pem !== '');

async function openWithout(t: TestContext) {
  const provider = createTestProvider();
  const site = await createTestApp({ app: { provider }, now: Date.now() });
  t.after(() => site.close());
  await site.app.start();
  return { ...site, provider };
}

/** @param options.directory whether it is served, which takes its time */
async function open(t: TestContext, { directory }: { directory: boolean }) {
  const site = directory ? await openDirectorySite(t, [fileUser('bob')]) : await openWithout(t);
  const { app, config } = site;
  const run = (...argv: string[]) => runOn(argv, config);
  const must = async (...argv: string[]): Promise<string> => {
    const { code, out, err } = await run(...argv);
    assert.equal(code, 0, err);
    return out;
  };
  const count = () => app.ca.certificates().map(({ role }) => role);
  return {
    ...site,
    run,
    must,
    /** A step, until the server that runs goes by it. */
    async step(name: 'rotate' | 'activate' | 'finish', roles: string[], ...more: string[]): Promise<void> {
      await must('ca', name, ...more);
      while (count().join() !== roles.join()) await sleep(10);
    },
    async enrol(hostname: string): Promise<{ host: TestHost; held: Held }> {
      const host = await enrolTestHost(app, site.clock, hostname);
      return { host, held: { certificate: host.grant.certificate, key: host.tlsKey, bundle: host.grant.caBundle } };
    },
    async renew(host: TestHost): Promise<Held> {
      const { csr, key } = await certificateRequest(host.hostname);
      const nonce = randomBytes(32).toString('base64url');
      const body = { counter: ++host.counter, machineId: host.machineId, nonce, csr };
      const { body: answer } = await host.send('POST', '/certificate', body);
      const read = await verifyToken(
        tokenType.certificate,
        String(answer.grant),
        [app.trust.trustRoot],
        certificateGrant,
      );
      const grant: CertificateGrant | null = read.ok ? read.payload : null;
      assert.ok(grant, JSON.stringify(answer));
      return { certificate: grant.certificate, key, bundle: grant.caBundle };
    },
    /** A heartbeat, in which the host says what it goes by. @returns what the server goes by */
    async beat(host: TestHost, held: Held | null): Promise<string[] | null> {
      const signer =
        held && pems(held.bundle).find((pem) => new X509Certificate(held.certificate).verify(createPublicKey(pem)));
      const authorities: HostAuthorities | null = held && {
        issuer: signer ? fingerprintOf(signer) : null,
        bundle: pems(held.bundle).map(fingerprintOf),
      };
      const answer = await host.send('POST', '/heartbeat', {
        counter: ++host.counter,
        machineId: host.machineId,
        approverKeysVersion: 0,
        now: site.clock.now(),
        checkpointSeq: 0,
        agentVersion: '0.3.0',
        osInfo: 'test',
        ...(authorities ? { authorities } : {}),
      });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return answer.body.authorities as string[] | null;
    },
    /** Whether a host with these files is served by the directory, and believes it. */
    async reads({ certificate, key, bundle }: Held): Promise<boolean> {
      const client = new Client({
        url: `ldaps://localhost:${app.directory!.ports()[1]}`,
        timeout: 60_000,
        connectTimeout: 60_000,
        tlsOptions: { ca: pems(bundle), cert: certificate, key },
      });
      try {
        return (await client.search(BASE, { scope: 'sub', filter: '(uid=bob)' })).searchEntries.length === 1;
      } catch {
        return false;
      } finally {
        await client.unbind().catch(() => {});
      }
    },
  };
}

test('a new authority takes the place of the old one in three steps, and no host is refused meanwhile', async (t) => {
  const site = await open(t, { directory: true });
  const one = await site.enrol('web1.example.com');
  const two = await site.enrol('web2.example.com');
  const old = fingerprintOf(site.app.keys.ca.certificatePem);
  assert.deepEqual(await site.beat(one.host, null), [old]);
  assert.match((await site.run('ca', 'activate')).err, /Begin one/);

  // Made known: the old one signs.
  await site.step('rotate', ['signing', 'next']);
  assert.match((await site.run('ca', 'rotate')).err, /begun already/);
  const [, next] = (await site.beat(one.host, one.held))!;
  assert.ok(next && next !== old);
  let first = await site.renew(one.host);
  assert.deepEqual(pems(first.bundle).map(fingerprintOf), [old, next]);
  await site.beat(one.host, first);
  await site.beat(two.host, two.held);
  assert.ok((await site.reads(first)) && (await site.reads(two.held)));

  // It signs, once everybody knows it.
  const early = await site.run('ca', 'activate');
  assert.equal(early.code, 1);
  assert.match(early.err, /do not know the new authority yet.*: web2\.example\.com\. /);
  assert.match(await site.must('ca', 'show'), /Waits for: web2\.example\.com\n/);
  let second = await site.renew(two.host);
  await site.beat(two.host, second);
  await site.step('activate', ['signing', 'old']);
  const names = await readdir(site.config.keysDir);
  assert.ok(!names.includes('ca.pem'), 'the key that signs no more is gone');
  while (!(await site.reads(first))) await sleep(10);
  assert.ok(await site.reads(second), 'certificates of both are accepted, and the directory is believed');
  assert.equal(await site.reads(two.held), false, 'who never took the new one would not have believed it');
  assert.deepEqual(await site.beat(one.host, first), [next, old]);
  first = await site.renew(one.host);
  await site.beat(one.host, first);

  // The old one goes, once nobody has a certificate of it.
  const tooEarly = await site.run('ca', 'finish');
  assert.equal(tooEarly.code, 1);
  assert.match(tooEarly.err, /certificates of the old authority.*: web2\.example\.com\. /);
  const late = second;
  second = await site.renew(two.host);
  await site.beat(two.host, second);
  await site.step('finish', ['signing']);
  assert.deepEqual(await site.beat(one.host, first), [next]);
  while (await site.reads(late)) await sleep(10);
  assert.ok((await site.reads(first)) && (await site.reads(second)));
  assert.match((await site.run('ca', 'finish')).err, /Begin one/);

  const events = (await site.app.events.read(0, 10_000)).filter(({ event }) => event.startsWith('ca_'));
  assert.deepEqual(
    events.map(({ event, data }) => [event, data.leftBehind]),
    [
      ['ca_rotation_begun', []],
      ['ca_activated', []],
      ['ca_rotation_finished', []],
    ],
  );
  // A server that starts anew, and the next rotation, find it all.
  await site.must('ca', 'rotate');
  assert.match(await site.must('ca', 'show', '--json'), /"phase": "begun"/);
});

test('with --force a host that is gone is left behind, and named; one that was revoked is not waited for', async (t) => {
  const site = await open(t, { directory: true });
  const gone = await site.enrol('gone.example.com');
  const revoked = await site.enrol('revoked.example.com');
  await site.app.hosts.revoke(revoked.host.id, { username: 'olga', remoteAddr: null });
  await site.step('rotate', ['signing', 'next']);
  assert.match((await site.run('ca', 'activate')).err, /: gone\.example\.com\. /);
  await site.step('activate', ['signing', 'old'], '--force');
  await site.step('finish', ['signing'], '--force');
  assert.equal(await site.reads(gone.held), false);
  const events = (await site.app.events.read(0, 10_000)).filter(({ event }) => event.startsWith('ca_'));
  assert.deepEqual(
    events.map(({ data }) => data.leftBehind),
    [[], ['gone.example.com'], ['gone.example.com']],
  );
  // It is a host still, and comes back with its next heartbeat.
  const back = await site.renew(gone.host);
  while (!(await site.reads(back))) await sleep(10);
});

test('the console and metrics show both authorities while there are two', async (t) => {
  const site = await open(t, { directory: false });
  await site.enrol('web1.example.com');
  await site.step('rotate', ['signing', 'next']);
  const admin = await signInTestPerson(site.app, site.provider, site.clock, 'olga', { groups: ['admins'] });
  const { data } = await admin.query<{ authorities: { role: string; certificate: { until: number } }[] }>('hosts.list');
  assert.deepEqual(
    data.authorities.map(({ role }) => role),
    ['signing', 'next'],
  );
  assert.ok(data.authorities.every(({ certificate }) => certificate.until > Date.now() + 3000 * 86_400_000));
  const metrics = (await site.app.http.inject({ url: '/metrics', remoteAddress: '127.0.0.1' })).body;
  assert.match(metrics, /identree_ca_rotation_certificate_expiry_timestamp_seconds\{role="next"\} \d{10}/);
  assert.match(metrics, /identree_ca_rotation_hosts_behind 1/);
});

test('a step that broke off is told by the same command, and a server with other files issues nothing', async (t) => {
  const site = await open(t, { directory: false });
  const { host } = await site.enrol('web1.example.com');
  await site.step('rotate', ['signing', 'next']);
  const folder = site.config.keysDir;
  const aside = join(folder, '..', 'ca.json');
  // As on a server with a folder of its own, to which nobody has copied the files.
  await rename(join(folder, 'ca.json'), aside);
  await site.app.caRotation.reload();
  assert.equal(await site.beat(host, null), null, 'it says nothing that hosts would follow');
  const { csr } = await certificateRequest(host.hostname);
  const body = { counter: ++host.counter, machineId: host.machineId, nonce: 'A'.repeat(43), csr };
  const refused = await host.send('POST', '/certificate', body);
  assert.deepEqual([refused.status, refused.body.error?.code], [503, 'unavailable']);
  await assert.rejects(enrolTestHost(site.app, site.clock, 'web2.example.com'), /unavailable/);
  await copyFile(aside, join(folder, 'ca.json'));
  await site.app.caRotation.reload();
  assert.equal((await site.beat(host, null))?.length, 2);

  // The files say "activated", and nobody was told.
  const names = JSON.parse(await readFile(aside, 'utf8'));
  await writeFile(join(folder, 'ca.json'), JSON.stringify({ v: 1, signing: names.next, next: null, old: 'ca' }));
  await site.step('activate', ['signing', 'old']);
  assert.equal((await site.beat(host, null))?.length, 2);
  assert.ok(!(await readdir(folder)).includes('ca.pem'), 'the key that signs no more is gone');
});

test('a folder that the steps were not taken in brings back no authority, whichever command is run there', async (t) => {
  const site = await open(t, { directory: false });
  const folder = site.config.keysDir;
  const copyTo = async (name: string) => {
    const keysDir = join(folder, '..', name);
    await cp(folder, keysDir, { recursive: true });
    return keysDir;
  };
  const stale = [await copyTo('before')];
  const refused = async () => {
    const told = site.app.caRotation.shown();
    for (const keysDir of stale) {
      for (const command of ['rotate', 'activate', 'finish']) {
        const files = await readdir(keysDir);
        const { code, err } = await runOn(['ca', command], { ...site.config, keysDir });
        assert.equal(code, 1, `${command} in ${keysDir}`);
        assert.match(err, /has other authorities than this installation/);
        assert.deepEqual(await readdir(keysDir), files);
      }
    }
    await site.app.caRotation.reload();
    assert.deepEqual(site.app.caRotation.shown(), told);
  };
  await site.step('rotate', ['signing', 'next']);
  await refused();
  stale.push(await copyTo('begun'));
  await site.step('activate', ['signing', 'old']);
  await site.app.caRotation.reload();
  await refused();
  stale.push(await copyTo('activated'));
  await site.step('finish', ['signing']);
  await refused();
});

test('of two servers that begin at once with folders of their own, the later one is refused', async (t) => {
  const { app, clock, config, must } = await open(t, { directory: false });
  const keysDir = join(config.keysDir, '..', 'other');
  await cp(config.keysDir, keysDir, { recursive: true });
  const late = createCaRotation({
    db: app.db,
    events: app.events,
    clock,
    config: { keysDir },
    ca: createCertificateAuthority({ ca: app.keys.ca, now: clock.now, hostTtlMs: 60_000 }),
    async makeCa(keyPem) {
      await must('ca', 'rotate');
      return makeCaCertificate(keyPem, clock.now());
    },
  });
  await assert.rejects(late.begin('olga'), /Another server took a step meanwhile/);
  assert.match(late.problem() ?? '', /has other authorities/);
  await app.caRotation.reload();
  assert.equal(app.caRotation.shown()?.length, 2);
  const begun = (await app.events.read(0, 10_000)).filter(({ event }) => event === 'ca_rotation_begun');
  assert.equal(begun.length, 1);
});

test('what is missing or damaged of a rotation keeps a server from starting, and names the file', async (t) => {
  const site = await open(t, { directory: false });
  await site.step('rotate', ['signing', 'next']);
  const folder = site.config.keysDir;
  const next = (await readdir(folder)).find((name) => /^ca-.*\.pem$/.test(name))!;
  await site.app.close();
  await rename(join(folder, next), join(folder, '..', next));
  await assert.rejects(createApp(site.config, { clock: site.clock }), new RegExp(`${next} missing`));
  await rename(join(folder, '..', next), join(folder, next));
  await writeFile(join(folder, 'ca.json'), '{"v":1,"signing":"../../etc/passwd","next":null,"old":null}', {
    mode: 0o600,
  });
  await assert.rejects(createApp(site.config, { clock: site.clock }), /ca\.json is no list of authorities/);
  await rm(join(folder, 'ca.json'));
});

test('the key of a certificate signs no request of the host API, and the key of requests opens no directory', async (t) => {
  const site = await open(t, { directory: true });
  const { host, held } = await site.enrol('web1.example.com');
  assert.ok(await site.reads(held));
  const { csr, key } = await certificateRequest(host.hostname);
  const body = { counter: ++host.counter, machineId: host.machineId, nonce: 'A'.repeat(43), csr };
  const stranger = await host.send('POST', '/certificate', body, { key: generateKeyPairSync('ed25519').privateKey });
  assert.deepEqual([stranger.status, stranger.body.error?.code], [401, 'signature_invalid']);
  for (const other of [held.key, key, caKeyPem()]) {
    const refused = await host.send('POST', '/certificate', body, { key: createPrivateKey(other) });
    assert.deepEqual([refused.status, refused.body.error?.code], [401, 'signature_malformed']);
  }
  // Same name and id, and signed by the key that requests are signed with.
  const pem = host.key.export({ type: 'pkcs8', format: 'pem' }) as string;
  assert.equal(await site.reads({ ...held, key: pem }), false);
});
