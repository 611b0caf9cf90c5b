import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { manualClock } from '../platform/clock.ts';
import { hostMetrics } from './metrics.ts';
import type { LiveHost } from './store.ts';

const DAY_MS = 86_400_000;

async function shown(hosts: readonly LiveHost[], endsIn: (index: number) => number): Promise<Map<string, number>> {
  const clock = manualClock();
  const registry = new Registry();
  const from = clock.now() - 365 * DAY_MS;
  const metrics = hostMetrics({
    hosts: async () =>
      hosts.map((host, index) => ({
        ...host,
        ...{ certificate_from: from, certificate_until: clock.now() + endsIn(index) },
      })),
    clock,
    ca: { certificates: () => [] },
    caRotation: { status: async () => ({ left: [] }) as never },
  });
  for (const metric of metrics) registry.registerMetric(metric);
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('identree_'));
  return new Map(lines.map((line) => [line.slice(9, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

const fleet = (size: number, of: (index: number) => Partial<LiveHost> = () => ({})): LiveHost[] =>
  Array.from({ length: size }, (_, index) => ({
    hostname: `web${index}.example.com`,
    certificate_from: null,
    certificate_until: null,
    last_seen_at: null,
    agent_version: null,
    ...of(index),
  }));

const linesOfHosts = (lines: ReadonlyMap<string, number>) =>
  [...lines.keys()].filter((line) => line.startsWith('mtls_cert_expires_in_seconds{'));

test('[M-04] up to 2,000 hosts each has a line; above that they are counted by when their certificates end', async () => {
  const endsIn = (index: number) => (index + 1) * DAY_MS;
  assert.equal(linesOfHosts(await shown(fleet(2000), endsIn)).length, 2000);
  const many = await shown(fleet(2001), endsIn);
  assert.deepEqual(linesOfHosts(many), []);
  assert.equal(many.get('mtls_cert_expires_in_seconds_min'), 86_400);
  assert.equal(many.get('mtls_certs_expiring{within="1d"}'), 1);
  assert.equal(many.get('mtls_certs_expiring{within="7d"}'), 7);
  assert.equal(many.get('mtls_certs_expiring{within="30d"}'), 30);
  assert.equal(many.get('registered_hosts'), 2001);
});

test('hosts are counted by whether they were heard of, and by version, however many versions there are', async () => {
  const now = manualClock().now();
  const lines = await shown(
    fleet(40, (index) => ({
      last_seen_at: [null, now - 1000, now - DAY_MS][index % 3]!,
      agent_version: index < 15 ? '1.0.0' : `0.9.${index}`,
    })),
    () => DAY_MS,
  );
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

test('without hosts there is no least time, and nothing else is missing', async () => {
  const lines = await shown([], () => 0);
  assert.equal(lines.has('mtls_cert_expires_in_seconds_min'), false);
  assert.equal(lines.get('registered_hosts'), 0);
  assert.equal(lines.get('mtls_certs_expiring{within="30d"}'), 0);
});
