import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { HostsTable } from '../db/schema.ts';
import { forEachDatabase } from '../db/test-databases.ts';
import { manualClock } from '../platform/clock.ts';
import { endsSoon } from './certificate-life.ts';
import { hostMetrics } from './metrics.ts';
import { insertHost } from './store.ts';

const DAY_MS = 86_400_000;
const clock = manualClock();
const now = clock.now();
/** The certificate of a host that ends after a time. */
const ending = (inMs: number, lifeMs = 365 * DAY_MS) => ({
  certificate_from: now + inMs - lifeMs,
  certificate_until: now + inMs,
});

forEachDatabase('metrics of hosts', (open) => {
  /** What is shown of so many hosts, by line without `identree_`. */
  async function shown(
    t: TestContext,
    size: number,
    of: (index: number) => Partial<HostsTable>,
  ): Promise<Map<string, number>> {
    const db = await open(t);
    await db.transaction(async (work) => {
      for (let index = 0; index < size; index += 1)
        await insertHost(work, {
          ...{ id: `id${index}`, hostname: `web${index}.example.com`, state: 'active', host_group: null },
          ...{ api_key: `key${index}`, api_key_thumbprint: `key${index}`, machine_id: 'm', rebind: 0 },
          ...{ counter: 0, counter_signed_at: null, certificate_from: null, certificate_until: null },
          ...{ enrolled_at: now, enrolled_with: 'token', confirmed_at: null, last_seen_at: null },
          ...{ agent_version: null, os_info: null, clock_skew_ms: null, checkpoint_seq: 0, remote_addr: null },
          ...{ report_due: 0, reached: 0, grants_revoked_to: 0, grants_journal: null },
          ...of(index),
        });
    });
    const registry = new Registry();
    const metrics = hostMetrics({
      db,
      clock,
      ca: { certificates: () => [] },
      caRotation: { status: async () => ({ left: [] }) as never },
    });
    for (const metric of metrics) registry.registerMetric(metric);
    const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('identree_'));
    return new Map(lines.map((line) => [line.slice(9, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
  }

  const linesOfHosts = (lines: ReadonlyMap<string, number>) =>
    [...lines].filter(([line]) => line.startsWith('mtls_cert_expires_in_seconds{'));

  test('[M-04] up to 2,000 hosts each has a line; above that they are counted by when their certificates end', async (t) => {
    const of = (index: number) => ending((index + 1) * DAY_MS);
    const few = linesOfHosts(await shown(t, 2000, of));
    assert.equal(few.length, 2000);
    assert.equal(new Map(few).get('mtls_cert_expires_in_seconds{hostname="web6.example.com"}'), 7 * 86_400);
    const many = await shown(t, 2001, of);
    assert.deepEqual(linesOfHosts(many), []);
    assert.equal(many.get('mtls_cert_expires_in_seconds_min'), 86_400);
    assert.equal(many.get('mtls_certs_expiring{within="1h"}'), 0);
    assert.equal(many.get('mtls_certs_expiring{within="1d"}'), 1);
    assert.equal(many.get('mtls_certs_expiring{within="7d"}'), 7);
    assert.equal(many.get('mtls_certs_expiring{within="30d"}'), 30);
    assert.equal(many.get('registered_hosts'), 2001);
  });

  test('hosts are counted by whether they were heard of, and by version, however many versions there are', async (t) => {
    const lines = await shown(t, 40, (index) => ({
      last_seen_at: [null, now - 299_999, now - 300_000][index % 3]!,
      agent_version: index < 15 ? '1.0.0' : index === 15 ? null : `0.9.${index}`,
    }));
    assert.equal(lines.get('agent_status{status="never_seen"}'), 14);
    assert.equal(lines.get('agent_status{status="online"}'), 13);
    assert.equal(lines.get('agent_status{status="silent"}'), 13);
    assert.equal(lines.get('agent_versions{version="1.0.0"}'), 15);
    const versions = [...lines].filter(([line]) => line.startsWith('agent_versions'));
    assert.equal(versions.length, 21);
    assert.equal(
      versions.reduce((sum, [, count]) => sum + count, 0),
      40,
    );
  });

  test('a host of which nothing is known yet has the version unknown, and one that is revoked is not counted', async (t) => {
    const lines = await shown(t, 3, (index) => ({ state: index === 0 ? 'revoked' : 'waiting', ...ending(DAY_MS) }));
    assert.equal(lines.get('registered_hosts'), 2);
    assert.equal(lines.get('agent_versions{version="unknown"}'), 2);
    assert.equal(lines.get('mtls_certs_expiring{within="1d"}'), 2);
    assert.equal(linesOfHosts(lines).length, 2);
  });

  test('certificates that end soon are those that the rule says, to the millisecond', async (t) => {
    const certificates = [400, 200, 120, 119, 90, 8, 1].flatMap((days) => {
      const life = days * DAY_MS;
      const left = Math.min(30 * DAY_MS, life / 4);
      return [left - 1, left, left + 1, -1].map((inMs) => ending(inMs, life));
    });
    const expected = certificates.filter(({ certificate_from: from, certificate_until: until }) =>
      endsSoon({ from, until }, now),
    );
    assert.equal(expected.length, 3 * 7);
    const lines = await shown(t, certificates.length, (index) => certificates[index]!);
    assert.equal(lines.get('host_certificates_ending'), expected.length);
  });

  test('without hosts there is no least time, and nothing else is missing', async (t) => {
    const lines = await shown(t, 0, () => ({}));
    assert.equal(lines.has('mtls_cert_expires_in_seconds_min'), false);
    assert.equal(lines.get('registered_hosts'), 0);
    assert.equal(lines.get('mtls_certs_expiring{within="30d"}'), 0);
  });
});
