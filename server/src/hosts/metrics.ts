import type { Metric } from 'prom-client';
import type { CertificateAuthority } from '../certificates/authority.ts';
import type { Database } from '../db/database.ts';
import type { Query } from '../db/query.ts';
import type { Clock } from '../platform/clock.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import type { CaRotation } from './ca-rotation.ts';
import { countHosts, type HostCounts, listCertificateEnds } from './store.ts';

/** Above so many hosts none has a line of its own: 3,000 lines a look are more than anybody alerts on. */
const MOST_SERIES = 2000;
const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
/** Within which a host that is up is heard of: it sends a heartbeat every minute. */
const ONLINE_MS = 5 * 60_000;
/** More versions than these at a time are nobody's plan. */
const MOST_VERSIONS = 20;

const AGENT_STATUSES = ['online', 'silent', 'never_seen'] as const;
const WITHIN = [
  ['1h', 'hour'],
  ['1d', 'day'],
  ['7d', 'week'],
  ['30d', 'month'],
] as const;

/** What is shown of all hosts together. */
async function summaryOf(query: Query, now: number) {
  const after = (seconds: number) => now + seconds * 1000;
  const counts = await countHosts(query, {
    now,
    onlineAfter: now - ONLINE_MS,
    ...{
      hour: after(HOUR_SECONDS),
      day: after(DAY_SECONDS),
      week: after(7 * DAY_SECONDS),
      month: after(30 * DAY_SECONDS),
    },
  });
  const sum = (of: (version: HostCounts) => number) => counts.reduce((total, version) => total + of(version), 0);
  const [count, everSeen, online] = [sum((of) => of.hosts), sum((of) => of.everSeen), sum((of) => of.online)];
  const firsts = counts.flatMap(({ first }) => first ?? []);
  const seconds = (until: number) => (until - now) / 1000;
  const ends = sum((of) => of.certificates) > MOST_SERIES ? [] : await listCertificateEnds(query);
  return {
    count,
    statuses: { online, silent: everSeen - online, never_seen: count - everSeen },
    /** How many hosts have each version. */
    versions: counts.map(({ version, hosts }): [string, number] => [version, hosts]),
    /** Seconds until certificates end, by host; below 0 when they have. None when there are too many. */
    ends: ends.map(({ hostname, until }) => ({ hostname, seconds: seconds(until) })),
    /** As many as end within each of these times. */
    within: WITHIN.map(([label, time]) => ({ label, count: sum((of) => of[time]) })),
    endingSoon: sum((of) => of.endingSoon),
    first: firsts.length === 0 ? null : seconds(Math.min(...firsts)),
  };
}

/** Versions by how many hosts have them; those behind the most frequent ones together. */
function versionsOf(counts: readonly [string, number][]): [string, number][] {
  const ordered = [...counts].sort(([, a], [, b]) => b - a);
  const others = ordered.slice(MOST_VERSIONS).reduce((sum, [, count]) => sum + count, 0);
  return [...ordered.slice(0, MOST_VERSIONS), ...(others > 0 ? [['other', others] as [string, number]] : [])];
}

/** Hosts and the certificates of hosts, as they are when somebody asks. */
export function hostMetrics(deps: {
  db: Pick<Database, 'query'>;
  clock: Clock;
  ca: Pick<CertificateAuthority, 'certificates'>;
  caRotation: Pick<CaRotation, 'status'>;
}): Metric[] {
  const { db, clock, ca, caRotation } = deps;
  const fleet = shortly(() => summaryOf(db.query, clock.now()));
  const now = () => clock.now();
  const signingEndsAt = () => ca.certificates()[0]?.life.until ?? 0;

  return [
    readGauge({
      name: 'registered_hosts',
      help: 'Enrolled hosts that are not revoked.',
      read: async () => (await fleet()).count,
    }),
    readGauge({
      name: 'agent_status',
      help: 'Enrolled hosts by whether they were heard of within five minutes.',
      labelNames: ['status'],
      async read() {
        const { statuses } = await fleet();
        return AGENT_STATUSES.map((status) => ({ labels: { status }, value: statuses[status] }));
      },
    }),
    readGauge({
      name: 'agent_versions',
      help: 'Enrolled hosts by the version of their agent.',
      labelNames: ['version'],
      read: async () =>
        versionsOf((await fleet()).versions).map(([version, value]) => ({ labels: { version }, value })),
    }),
    readGauge({
      name: 'host_certificates_ending',
      help: 'Certificates of hosts that should have been renewed long ago: they end within 30 days, or have ended.',
      read: async () => (await fleet()).endingSoon,
    }),
    readGauge({
      name: 'mtls_cert_expires_in_seconds',
      help: `Until the certificate of a host ends; below 0 once it has. Above ${MOST_SERIES} hosts no host has a line.`,
      labelNames: ['hostname'],
      async read() {
        const { ends } = await fleet();
        return ends.map(({ hostname, seconds }) => ({ labels: { hostname }, value: seconds }));
      },
    }),
    readGauge({
      name: 'mtls_cert_expires_in_seconds_min',
      help: 'Until the first certificate of a host ends; no value while there is none.',
      labelNames: [],
      async read() {
        const { first } = await fleet();
        return first === null ? [] : [{ labels: {}, value: first }];
      },
    }),
    readGauge({
      name: 'mtls_certs_expiring',
      help: 'Certificates of hosts that end within a time, or have ended.',
      labelNames: ['within'],
      async read() {
        const { within } = await fleet();
        return within.map(({ label, count }) => ({ labels: { within: label }, value: count }));
      },
    }),
    readGauge({
      name: 'mtls_ca_expires_in_seconds',
      help: 'Until the certificate of the embedded CA ends that signs; below 0 once it has.',
      read: () => (signingEndsAt() - now()) / 1000,
    }),
    readGauge({
      name: 'ca_certificate_expiry_timestamp_seconds',
      help: 'When the certificate of the embedded CA ends that signs.',
      read: () => signingEndsAt() / 1000,
    }),
    readGauge({
      name: 'ca_rotation_certificate_expiry_timestamp_seconds',
      help: 'While one CA takes the place of another: when the certificate ends of the one that does not sign.',
      labelNames: ['role'],
      read: () =>
        ca
          .certificates()
          .filter(({ role }) => role !== 'signing')
          .map(({ role, life }) => ({ labels: { role }, value: life.until / 1000 })),
    }),
    readGauge({
      name: 'ca_rotation_hosts_behind',
      help: 'Hosts that the next step of a new CA waits for.',
      read: async () => (await caRotation.status()).left.length,
    }),
  ];
}
