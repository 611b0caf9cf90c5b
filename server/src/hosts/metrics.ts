import type { Metric } from 'prom-client';
import type { CertificateAuthority } from '../certificates/authority.ts';
import type { Clock } from '../platform/clock.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import type { CaRotation } from './ca-rotation.ts';
import { endsSoon } from './certificate-life.ts';
import { type LiveHost, lifeOfHost } from './store.ts';

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
  ['1h', HOUR_SECONDS],
  ['1d', DAY_SECONDS],
  ['7d', 7 * DAY_SECONDS],
  ['30d', 30 * DAY_SECONDS],
] as const;

/** What is shown of all hosts together, counted in one pass: there may be ten thousand. */
function summaryOf(hosts: readonly LiveHost[], now: number) {
  const statuses = { online: 0, silent: 0, never_seen: 0 };
  /** How many hosts have each version. */
  const versions = new Map<string, number>();
  /** Seconds until certificates end, by host, as far as there are few enough; below 0 when they have. */
  const ends: { hostname: string; seconds: number }[] = [];
  /** As many as end within each of these times. */
  const within = WITHIN.map(() => 0);
  let [endingSoon, first] = [0, null as number | null];
  for (const host of hosts) {
    const { hostname, last_seen_at: lastSeenAt, agent_version: agentVersion } = host;
    const life = lifeOfHost(host);
    statuses[lastSeenAt === null ? 'never_seen' : now - lastSeenAt < ONLINE_MS ? 'online' : 'silent'] += 1;
    const version = agentVersion ?? 'unknown';
    versions.set(version, (versions.get(version) ?? 0) + 1);
    if (life === null) continue;
    const seconds = (life.until - now) / 1000;
    if (ends.length <= MOST_SERIES) ends.push({ hostname, seconds });
    if (first === null || seconds < first) first = seconds;
    if (endsSoon(life, now)) endingSoon += 1;
    for (let index = 0; index < WITHIN.length; index += 1) if (seconds <= WITHIN[index]![1]) within[index]! += 1;
  }
  return { count: hosts.length, statuses, versions, ends, within, endingSoon, first };
}

/** Versions by how many hosts have them; those behind the most frequent ones together. */
function versionsOf(counts: ReadonlyMap<string, number>): [string, number][] {
  const ordered = [...counts].sort(([, a], [, b]) => b - a);
  const others = ordered.slice(MOST_VERSIONS).reduce((sum, [, count]) => sum + count, 0);
  return [...ordered.slice(0, MOST_VERSIONS), ...(others > 0 ? [['other', others] as [string, number]] : [])];
}

/** Hosts and the certificates of hosts, as they are when somebody asks. */
export function hostMetrics(deps: {
  /** Hosts that are not revoked. */
  hosts: () => Promise<readonly LiveHost[]>;
  clock: Clock;
  ca: Pick<CertificateAuthority, 'certificates'>;
  caRotation: Pick<CaRotation, 'status'>;
}): Metric[] {
  const { clock, ca, caRotation } = deps;
  const fleet = shortly(async () => summaryOf(await deps.hosts(), clock.now()));
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
        return ends.length > MOST_SERIES
          ? []
          : ends.map(({ hostname, seconds }) => ({ labels: { hostname }, value: seconds }));
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
        return WITHIN.map(([label], index) => ({ labels: { within: label }, value: within[index]! }));
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
