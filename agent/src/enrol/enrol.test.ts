import assert from 'node:assert/strict';
import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { EnrolmentGrant } from '#shared/host-api.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { createTransport } from '../client/transport.ts';
import { certificateFolder, stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { readCounter } from '../state/counter.ts';
import { loadEnrolment, NotEnrolled } from '../state/identity.ts';
import { createFakeServer, createServerKey, type FakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost, createHostFolders } from '../testing/host.ts';
import { checkGrant } from './check-grant.ts';
import { type EnrolmentCredential, enrol } from './enrol.ts';
import { generateHostKeys } from './host-keys.ts';

async function world() {
  const server = await createFakeServer();
  const folders = await createHostFolders(server.url);
  const run = async (change: { credential?: EnrolmentCredential; hostname?: string; replace?: boolean } = {}) => {
    const transport = createTransport({ serverUrl: server.url, ca: null });
    try {
      return await enrol(
        { transport, clock: systemClock, random: systemRandom },
        {
          credential: { token: server.token },
          serverUrl: server.url,
          hostname: 'web1.example.com',
          state: folders.paths.state,
          replace: false,
          ...change,
        },
      );
    } finally {
      transport.close();
    }
  };
  return {
    server,
    state: folders.paths.state,
    run,
    async [Symbol.asyncDispose]() {
      await server.close();
      await folders.remove();
    },
  };
}

describe('enrolment', () => {
  it('makes keys, pins the server and leaves private files private', async () => {
    await using w = await world();
    const result = await w.run();
    assert.ok(result.ok);
    const { identity, apiKey, trust } = await loadEnrolment(w.state);
    assert.equal(identity.hostId, result.hostId);
    assert.equal(identity.externalUrl, w.server.url);
    assert.equal(apiKey.kid, result.apiKey);
    assert.equal(trust.trustRoot.kid, w.server.trustRoot.kid);
    assert.equal(trust.serverId, w.server.serverId);
    const files = stateFiles(w.state);
    const tls = join(certificateFolder(w.state), 'current');
    for (const path of [files.apiKey, join(tls, 'client.key'), files.identity, files.counter, files.checkpoint]) {
      assert.equal((await stat(path)).mode & 0o777, 0o600, path);
    }
    for (const name of ['client.crt', 'ca.crt']) assert.equal((await stat(join(tls, name))).mode & 0o777, 0o644, name);
    assert.equal((await stat(w.state)).mode & 0o777, 0o700);
    assert.match(await readFile(files.apiKey, 'utf8'), /BEGIN PRIVATE KEY/);
    assert.equal(await readCounter(files.counter), 0);
    const sent = JSON.stringify(w.server.calls[0]?.body);
    assert.ok(!sent.includes('PRIVATE'), 'no private key leaves the host');
    assert.ok(
      !sent.includes((await readFile('/etc/machine-id', 'utf8').catch(() => 'none')).trim()),
      'nor the machine id',
    );
  });

  it('never replaces a live identity, unless told to', async () => {
    await using w = await world();
    const first = await w.run();
    const before = await readFile(stateFiles(w.state).apiKey);
    await writeFile(stateFiles(w.state).clientDefaults, 'of the first');
    const second = await w.run();
    assert.ok(!second.ok && /enrolled already/.test(second.message));
    assert.deepEqual(await readFile(stateFiles(w.state).apiKey), before);
    assert.equal(w.server.calls.length, 1, 'the server is not even asked');
    const third = await w.run({ replace: true });
    assert.ok(first.ok && third.ok);
    assert.notEqual(third.hostId, first.hostId);
    assert.equal((await loadEnrolment(w.state)).identity.hostId, third.hostId);
    await assert.rejects(readFile(stateFiles(w.state).clientDefaults), { code: 'ENOENT' });
  });

  for (const token of [
    '',
    'idt1',
    'idt2.AAAAAAAAAAAAAAAA.x.y',
    `idt1.AAAAAAAAAAAAAAAA.${'A'.repeat(43)}`,
    'a shared secret',
  ]) {
    it(`"${token.slice(0, 20)}" is no token and is not sent anywhere`, async () => {
      await using w = await world();
      const result = await w.run({ credential: { token } });
      assert.ok(!result.ok && /not an enrolment token/.test(result.message));
      assert.equal(w.server.calls.length, 0);
    });
  }

  it('a host name that is none is refused before anything is made', async () => {
    await using w = await world();
    const result = await w.run({ hostname: 'web_1; id' });
    assert.ok(!result.ok && /--hostname/.test(result.message));
    assert.equal(w.server.calls.length, 0);
  });

  it('a refusal of the server is shown, and nothing is written', async () => {
    await using w = await world();
    const other = w.server.token.replace(/^(idt1\..{16}\.).{43}/, `$1${'B'.repeat(43)}`);
    const result = await w.run({ credential: { token: other } });
    assert.ok(!result.ok && /not known here/.test(result.message));
    assert.deepEqual(
      (await readdir(w.state)).filter((name) => !['machine-id'].includes(name)),
      [],
    );
  });

  it('with the shared secret the host waits, and the fingerprints to compare are handed out', async () => {
    await using w = await world();
    w.server.hostState = 'waiting';
    const result = await w.run({ credential: { sharedSecret: 'x'.repeat(40) } });
    assert.ok(result.ok);
    assert.equal(result.state, 'waiting');
    assert.equal(result.trustRoot, w.server.trustRoot.kid);
    assert.equal(result.apiKey, (await loadEnrolment(w.state)).apiKey.kid);
  });

  it('half an enrolment is none', async () => {
    await using server = await disposable(await createFakeServer());
    const host = await createEnrolledHost(server.value);
    try {
      const files = stateFiles(host.paths.state);
      const keys = await generateHostKeys('web1.example.com');
      await writeFile(files.apiKey, keys.api.pem, { mode: 0o600 });
      await assert.rejects(loadEnrolment(host.paths.state), NotEnrolled, 'a key of another enrolment');
    } finally {
      await host.remove();
    }
  });

  it('does not write through a link that somebody put in place of the state folder', async () => {
    await using w = await world();
    await symlink('/tmp', w.state);
    await assert.rejects(w.run(), /not a folder/);
  });
});

async function disposable(value: FakeServer) {
  return { value, [Symbol.asyncDispose]: () => value.close() };
}

describe('the enrolment grant: what is pinned for good', () => {
  const TAMPERED: Record<
    string,
    { change: (grant: EnrolmentGrant, server: FakeServer) => EnrolmentGrant | Promise<EnrolmentGrant>; problem: RegExp }
  > = {
    'another nonce': { change: (grant) => ({ ...grant, nonce: 'A'.repeat(43) }), problem: /another request/ },
    'another host': { change: (grant) => ({ ...grant, hostname: 'web2.example.com' }), problem: /another host/ },
    'another trust root': {
      change: async (grant) => ({ ...grant, trustRoot: (await createServerKey()).public }),
      problem: /another fingerprint/,
    },
    'a trust root under the id of the real one': {
      change: async (grant, server) => ({
        ...grant,
        trustRoot: { ...(await createServerKey()).public, kid: server.trustRoot.kid },
      }),
      problem: /another fingerprint/,
    },
    'a verification key under another id': {
      change: (grant) => ({ ...grant, verificationKeys: [{ ...grant.verificationKeys[0]!, kid: 'A'.repeat(43) }] }),
      problem: /do not match their fingerprints/,
    },
    'approver keys signed by somebody else': {
      change: async (grant, server) => ({
        ...grant,
        approverKeys: await server.keySet(1, [], await createServerKey()),
      }),
      problem: /not signed by the server/,
    },
    'approver keys of another server': {
      change: (grant) => ({ ...grant, serverId: '00000000-0000-4000-8000-000000000000' }),
      problem: /not signed by the server/,
    },
    'a certificate for another key': {
      // The same name and authority; made when another host enrolled.
      change: (grant) => grant,
      problem: /certificate/,
    },
    'no certificate': { change: (grant) => ({ ...grant, certificate: 'none' }), problem: /certificate/ },
    'an authority that did not issue the certificate': {
      change: async (grant) => ({ ...grant, caBundle: await certificateOfSomebodyElse() }),
      problem: /certificate/,
    },
    'a plain http address': {
      change: (grant) => ({ ...grant, externalUrl: 'http://id.example.com' }),
      problem: /not https/,
    },
    'a revoked host': { change: (grant) => ({ ...grant, state: 'revoked' as const }), problem: /revoked/ },
    'something more': {
      change: (grant) => ({ ...grant, extra: 1 }) as EnrolmentGrant,
      problem: /not an enrolment grant/,
    },
  };
  for (const [name, { change, problem }] of Object.entries(TAMPERED)) {
    it(`with ${name}: refused, nothing written`, async () => {
      await using w = await world();
      let changed: EnrolmentGrant | null = null;
      // Prepared ahead, because the server signs what it gets at once.
      w.server.tamperGrant = (grant) => {
        assert.ok(changed);
        return { ...changed, nonce: name === 'another nonce' ? changed.nonce : grant.nonce, ...keep(name, grant) };
      };
      const probe = await probeGrant(w.server);
      changed = await change(probe, w.server);
      const result = await w.run();
      assert.ok(!result.ok, name);
      assert.match(result.message, problem);
      assert.deepEqual(
        (await readdir(w.state)).filter((file) => file !== 'machine-id'),
        [],
      );
    });
  }

  it('signed by another key: refused', async () => {
    await using w = await world();
    w.server.grantKey = { ...(await createServerKey()), kid: w.server.trustRoot.kid };
    const result = await w.run();
    assert.ok(!result.ok && /signature/.test(result.message), JSON.stringify(result));
  });

  it('by another server altogether, which signs everything well: refused by the fingerprint of the token', async () => {
    await using w = await world();
    const impostor = await createFakeServer();
    try {
      const transport = createTransport({ serverUrl: impostor.url, ca: null });
      impostor.token = w.server.token;
      const result = await enrol(
        { transport, clock: systemClock, random: systemRandom },
        {
          credential: { token: w.server.token },
          serverUrl: impostor.url,
          hostname: 'web1.example.com',
          state: w.state,
          replace: false,
        },
      );
      transport.close();
      assert.ok(!result.ok && /another fingerprint/.test(result.message));
    } finally {
      await impostor.close();
    }
  });

  it('a token of another purpose is no grant', async () => {
    const root = await createServerKey();
    const expected = { fingerprint: root.kid, nonce: 'A'.repeat(43), hostname: 'a', tlsKeyPem: '', now: 0 };
    const wrongType = await signToken(tokenType.verdict, { trustRoot: root.public }, root);
    assert.deepEqual(await checkGrant(wrongType, expected), { ok: false, problem: 'bad_signature' });
    assert.deepEqual(await checkGrant('rubbish', expected), { ok: false, problem: 'malformed' });
    assert.deepEqual(await checkGrant('e30.e30.e30', expected), { ok: false, problem: 'malformed' });
  });
});

/** A genuine grant to start from, taken by enrolling somebody else. */
async function probeGrant(server: FakeServer): Promise<EnrolmentGrant> {
  const tamper = server.tamperGrant;
  let seen: EnrolmentGrant | null = null;
  server.tamperGrant = (grant) => {
    seen = grant;
    return grant;
  };
  const host = await createEnrolledHost(server);
  await host.remove();
  server.tamperGrant = tamper;
  server.calls.length = 0;
  return seen!;
}

/** What must be of this request, so that only the tampered part is wrong. */
function keep(name: string, grant: EnrolmentGrant): Partial<EnrolmentGrant> {
  const certificate =
    name.includes('certificate') && !name.includes('authority') ? {} : { certificate: grant.certificate };
  // A certificate for another key names that other enrolment's id, and so does the grant: only the key is wrong.
  return name.includes('another key') ? {} : { hostId: grant.hostId, ...certificate };
}

async function certificateOfSomebodyElse(): Promise<string> {
  const other = await createFakeServer();
  try {
    return (await probeGrant(other)).certificate;
  } finally {
    await other.close();
  }
}

describe('host keys', () => {
  it('are two, of two kinds, and the request names the host', async () => {
    const keys = await generateHostKeys('web1.example.com');
    const { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } = await import('@peculiar/x509');
    const csr = new Pkcs10CertificateRequest(keys.tls.csr);
    assert.equal(await csr.verify(), true);
    assert.equal(csr.subject, 'CN=web1.example.com');
    const extension = csr.extensions.find((candidate) => candidate instanceof SubjectAlternativeNameExtension);
    const names = extension?.names.toJSON();
    assert.deepEqual(names, [{ type: 'dns', value: 'web1.example.com' }]);
    assert.notEqual(keys.api.pem, (await generateHostKeys('web1.example.com')).api.pem);
  });
});
