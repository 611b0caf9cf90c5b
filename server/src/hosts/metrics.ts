import type { Metric } from 'prom-client';
import type { CertificateAuthority } from '../certificates/authority.ts';
import type { Clock } from '../platform/clock.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import type { CaRotation } from './ca-rotation.ts';
import { endsSoon, type Life, lifeOf } from './certificate-life.ts';
import type { LiveHost } from './store.ts';

/** Above so many hosts none has a line of its own: 3,000 lines a look are more than anybody alerts on. */
const MOST_SERIES = 2000;
const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
/** Within which a host that is up is heard of: it sends a heartbeat every minute. */
const ONLINE_MS = 5 * 60_000;
/** More versions than these at a time are nobody's plan. */
const MOST_VERSIONS = 20;

const AGENT_STATUSES = ['online', 'silent', 'never_seen'] as const;
const WITHIN = { '1h': HOUR_SECONDS, '1d': DAY_SECONDS, '7d': 7 * DAY_SECONDS, '30d': 30 * DAY_SECONDS } as const;

function statusOf(host: LiveHost, now: number): (typeof AGENT_STATUSES)[number] {
  if (host.lastSeenAt === null) return 'never_seen';
  return now - host.lastSeenAt < ONLINE_MS ? 'online' : 'silent';
}

/** Versions by how many hosts have them; those behind the most frequent ones together. */
function versionsOf(hosts: readonly LiveHost[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { agentVersion } of hosts) {
    const version = agentVersion ?? 'unknown';
    counts.set(version, (counts.get(version) ?? 0) + 1);
  }
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
  lives: (certificatePem: string) => Life | null;
}): Metric[] {
  const { clock, ca, caRotation, lives } = deps;
  const hosts = shortly(deps.hosts);
  const now = () => clock.now();
  /** Seconds until certificates end, by host; below 0 when they have. */
  const ends = async (): Promise<{ hostname: string; seconds: number }[]> =>
    (await hosts()).flatMap(({ hostname, certificate }) => {
      const life = lives(certificate);
      return life === null ? [] : [{ hostname, seconds: (life.until - now()) / 1000 }];
    });
  const signingEndsAt = () => lifeOf(ca.certificates()[0]?.pem ?? '')?.until ?? 0;

  return [
    readGauge({
      name: 'registered_hosts',
      help: 'Enrolled hosts that are not revoked.',
      read: async () => (await hosts()).length,
    }),
    readGauge({
      name: 'agent_status',
      help: 'Enrolled hosts by whether they were heard of within five minutes.',
      labelNames: ['status'],
      async read() {
        const all = await hosts();
        return AGENT_STATUSES.map((status) => ({
          labels: { status },
          value: all.filter((host) => statusOf(host, now()) === status).length,
        }));
      },
    }),
    readGauge({
      name: 'agent_versions',
      help: 'Enrolled hosts by the version of their agent.',
      labelNames: ['version'],
      read: async () => versionsOf(await hosts()).map(([version, value]) => ({ labels: { version }, value })),
    }),
    readGauge({
      name: 'host_certificates_ending',
      help: 'Certificates of hosts that should have been renewed long ago: they end within 30 days, or have ended.',
      async read() {
        const all = (await hosts()).map(({ certificate }) => lives(certificate));
        return all.filter((life) => life && endsSoon(life, now())).length;
      },
    }),
    readGauge({
      name: 'mtls_cert_expires_in_seconds',
      help: `Until the certificate of a host ends; below 0 once it has. Above ${MOST_SERIES} hosts no host has a line.`,
      labelNames: ['hostname'],
      async read() {
        const all = await ends();
        return all.length > MOST_SERIES
          ? []
          : all.map(({ hostname, seconds }) => ({ labels: { hostname }, value: seconds }));
      },
    }),
    readGauge({
      name: 'mtls_cert_expires_in_seconds_min',
      help: 'Until the first certificate of a host ends; no value while there is none.',
      labelNames: [],
      async read() {
        const all = await ends();
        return all.length === 0
          ? []
          : [{ labels: {}, value: all.reduce((least, { seconds }) => Math.min(least, seconds), Number.MAX_VALUE) }];
      },
    }),
    readGauge({
      name: 'mtls_certs_expiring',
      help: 'Certificates of hosts that end within a time, or have ended.',
      labelNames: ['within'],
      async read() {
        const all = await ends();
        return Object.entries(WITHIN).map(([within, limit]) => ({
          labels: { within },
          value: all.filter(({ seconds }) => seconds <= limit).length,
        }));
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
          .map(({ role, pem }) => ({ labels: { role }, value: (lifeOf(pem)?.until ?? 0) / 1000 })),
    }),
    readGauge({
      name: 'ca_rotation_hosts_behind',
      help: 'Hosts that the next step of a new CA waits for.',
      read: async () => (await caRotation.status()).left.length,
    }),
  ];
}
