import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTestAuthority } from '../testing/certificate.ts';
import { certificateProblem, joinPem, lifetimeOf, splitPem } from './check.ts';
import { generateTlsKey } from './key.ts';

const HOST = { hostname: 'web1.example.com', hostId: '0b9d7c9e-4a52-4a0b-9a3e-6d1f0c2b7a11' };
const OTHER = '5f1a2b3c-0000-4000-8000-000000000000';
const DAY = 86_400_000;

const authority = await createTestAuthority();
const stranger = await createTestAuthority();
const key = await generateTlsKey(HOST.hostname);

describe('a client certificate for this host', () => {
  const names = [`dns:${HOST.hostname}`, `url:urn:uuid:${HOST.hostId}`];
  const judge = (certificate: string, change: { caBundle?: string; key?: string; now?: number } = {}) =>
    certificateProblem(
      { certificate, caBundle: change.caBundle ?? authority.pem },
      { ...HOST, key: change.key ?? key.pem, now: change.now ?? Date.now() },
    );

  it('is accepted, whichever authority of a bundle signed it', async () => {
    const good = await authority.issue(key.csr, names);
    assert.equal(judge(good), null);
    assert.equal(judge(good, { caBundle: `${stranger.pem}\nsome words\n${authority.pem}` }), null);
  });

  it('belongs to our key', async () => {
    const theirs = await generateTlsKey(HOST.hostname);
    assert.match(judge(await authority.issue(theirs.csr, names)) ?? '', /key of this host/);
  });

  it('names this host, and nobody else', async () => {
    for (const wrong of [
      ['dns:web2.example.com', names[1]!],
      [names[0]!, `url:urn:uuid:${OTHER}`],
      [names[0]!],
      [names[1]!],
      [...names, 'dns:web2.example.com'],
      [...names, `url:urn:uuid:${OTHER}`],
      ['dns:*.example.com', names[1]!],
    ]) {
      assert.match(judge(await authority.issue(key.csr, wrong)) ?? '', /somebody else/, wrong.join(' '));
    }
  });

  it('is good for a client, and for nothing else', async () => {
    assert.match(judge(await authority.issue(key.csr, names, { use: 'server' })) ?? '', /not for a client/);
    assert.match(judge(await authority.issue(key.csr, names, { use: 'both' })) ?? '', /not for a client/);
    assert.match(judge(await authority.issue(key.csr, names, { use: 'none' })) ?? '', /not for a client/);
    assert.match(judge(await authority.issue(key.csr, names, { isCa: true })) ?? '', /not for a client/);
  });

  it('is signed by one of the authorities, which is one', async () => {
    const good = await authority.issue(key.csr, names);
    assert.match(judge(good, { caBundle: stranger.pem }) ?? '', /not signed it/);
    assert.match(judge(good, { caBundle: '' }) ?? '', /not signed it/);
    // The same name, another key.
    assert.match(judge(await stranger.issue(key.csr, names)) ?? '', /not signed it/);
    const leaf = await authority.issue(key.csr, names);
    assert.match(judge(good, { caBundle: leaf }) ?? '', /not signed it/);
  });

  it('has not expired; a day of leeway is for clocks', async () => {
    const now = Date.now();
    const short = await authority.issue(key.csr, names, { from: now - 2 * DAY, until: now - DAY / 2 });
    assert.equal(judge(short), null);
    assert.match(judge(short, { now: now + DAY }) ?? '', /expired/);
    const { from, until } = lifetimeOf(short);
    assert.equal(Math.round((until - from) / DAY), 2);
  });

  it('is a certificate', () => {
    for (const bad of ['', 'none', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])
      assert.match(judge(bad) ?? '', /cannot be read/);
  });
});

describe('bundles', () => {
  const [a, b] = [authority.pem, stranger.pem];
  it('joined, each certificate is there once and nothing else is', () => {
    const joined = joinPem([`# first\n${a}`, `${b.trim()}`, a]);
    assert.deepEqual(splitPem(joined), [splitPem(a)[0], splitPem(b)[0]]);
    assert.doesNotMatch(joined, /#/);
    assert.equal(joinPem(['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----']), '');
  });
});
