import type { z } from 'zod';
import type { settings } from './config.ts';
import { checkDirectory } from './directory-rules.ts';
import { bothOrNeither, type ConfigProblem } from './problems.ts';
import { isLoopback } from './values.ts';

type DeepPartial<T> = {
  [K in keyof T]?: NonNullable<T[K]> extends readonly unknown[] ? T[K] : T[K] extends object ? DeepPartial<T[K]> : T[K];
};
/** What could be read so far: a setting that is itself wrong is absent. */
export type Readable = DeepPartial<z.output<typeof settings>>;

/** Rules over several settings. Each one runs as soon as what it needs could be read, so that all errors come at once. */
export function checkTogether(
  values: Readable,
  { errors, warnings }: { errors: ConfigProblem[]; warnings: ConfigProblem[] },
): void {
  const { certFile, keyFile } = values.tls ?? {};
  bothOrNeither(errors, ['IDENTREE_TLS_CERT_FILE', certFile], ['IDENTREE_TLS_KEY_FILE', keyFile]);
  if (certFile && values.externalUrl?.startsWith('http:')) {
    errors.push({
      setting: 'IDENTREE_EXTERNAL_URL',
      problem: 'is plain http, but IDENTREE_TLS_CERT_FILE is set',
      fix: 'Write it with https.',
    });
  }
  const { driver, dsn } = values.database ?? {};
  if (driver === 'postgres' && dsn !== undefined && !/^postgres(ql)?:\/\/./.test(dsn)) {
    errors.push({
      setting: 'IDENTREE_DATABASE_DSN',
      problem: 'is no postgres:// URL',
      fix: 'Set it or IDENTREE_DATABASE_DSN_FILE, like postgres://identree@db.example.com/identree.',
    });
  }
  if (driver === 'sqlite' && dsn !== undefined && !dsn.startsWith('/')) {
    errors.push({
      setting: 'IDENTREE_DATABASE_DSN',
      problem: 'is not the absolute path of an SQLite file',
      fix: 'Write the whole path, or set IDENTREE_DATABASE_DRIVER to postgres.',
    });
  }
  // One leak must not open two doors.
  const secrets = [
    ['IDENTREE_SHARED_SECRET', values.sharedSecret],
    ['IDENTREE_METRICS_TOKEN', values.metricsToken],
    ['IDENTREE_OIDC_CLIENT_SECRET', values.oidc?.clientSecret],
    ['IDENTREE_WEBHOOK_SECRET', values.webhookSecret],
    ['IDENTREE_POCKETID_API_KEY', values.pocketId?.apiKey],
    ['IDENTREE_LDAP_SECRET', values.ldap?.secret],
    ['IDENTREE_LDAP_SECRET_PREVIOUS', values.ldap?.secretPrevious],
    ['IDENTREE_LDAP_BIND_PASSWORD', values.ldap?.bindPassword],
  ] as const;
  for (const [i, [name, value]] of secrets.entries()) {
    const other = secrets.slice(0, i).find(([, earlier]) => earlier && earlier === value);
    if (other)
      errors.push({ setting: name, problem: `is the same as ${other[0]}`, fix: 'Make one secret for each purpose.' });
  }
  if (values.enrolmentAutoConfirm && values.sharedSecret === null) {
    warnings.push({
      setting: 'IDENTREE_ENROLMENT_AUTO_CONFIRM',
      problem: 'has no effect without IDENTREE_SHARED_SECRET',
      fix: 'Hosts that enrol with a token are accepted at once anyway.',
    });
  }
  checkDirectory(values, { errors, warnings });
  const hostname = values.externalUrl ? new URL(values.externalUrl).hostname : null;
  if (hostname && (/^[0-9.]+$/.test(hostname) || hostname.startsWith('['))) {
    warnings.push({
      setting: 'IDENTREE_EXTERNAL_URL',
      problem: 'is an address, and browsers offer no passkeys there',
      fix: isLoopback(hostname) ? 'Use http://localhost instead.' : 'Use a host name.',
    });
  }
  if (values.metricsToken === null && hostname && !isLoopback(hostname)) {
    warnings.push({
      setting: 'IDENTREE_METRICS_TOKEN',
      problem: 'is not set, so anyone who reaches the server can read /metrics',
      fix: 'Make one with: openssl rand -hex 32',
    });
  }
}
