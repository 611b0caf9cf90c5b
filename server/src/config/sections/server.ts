import { z } from 'zod';
import { bothOrNeither, type Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { optional, required, withDefault } from '../setting.ts';
import { choice, duration, isLoopback, listenAddress, networks, origin, path, secret } from '../values.ts';

/** Where the server listens and who may reach it. */
export const serverSettings = {
  externalUrl: required(origin, {
    env: 'IDENTREE_EXTERNAL_URL',
    toml: 'server.external_url',
    section: 'Server',
    description: 'Where people and hosts reach this server. Passkeys are bound to this name, so choose one that stays.',
    example: 'https://identree.example.com',
  }),
  listen: withDefault(listenAddress, {
    env: 'IDENTREE_LISTEN_ADDR',
    toml: 'server.listen_addr',
    section: 'Server',
    description: 'Address and port to listen on. Without an address: all of them.',
    default: ':8090',
  }),
  stopDelayMs: optional(duration('0s', '10s'), {
    env: 'IDENTREE_STOP_DELAY',
    toml: 'server.stop_delay',
    section: 'Server',
    description:
      'How long a server that is told to stop still answers, while /healthz says that it stops: a balancer in front of it needs so long to send everybody elsewhere. At most 10s. Then requests that came whole are answered, and connections on which none came are ended after a second. All of it is over within ten seconds of the signal, or within five after this delay where that is later; the log says for whom the server waited. The exit code is 1 only when somebody who waited for an answer was cut off.',
    defaultNote: '3s with Postgres, 0s with SQLite',
  }),
  tls: z.object({
    certFile: optional(path, {
      env: 'IDENTREE_TLS_CERT_FILE',
      toml: 'server.tls_cert_file',
      section: 'Server',
      description: 'Certificate chain in PEM, when this server ends TLS itself. Needs IDENTREE_TLS_KEY_FILE.',
    }),
    keyFile: optional(path, {
      env: 'IDENTREE_TLS_KEY_FILE',
      toml: 'server.tls_key_file',
      section: 'Server',
      description: 'Private key in PEM that belongs to IDENTREE_TLS_CERT_FILE.',
    }),
  }),
  trustedProxies: withDefault(networks, {
    env: 'IDENTREE_TRUSTED_PROXIES',
    toml: 'server.trusted_proxies',
    section: 'Server',
    description:
      'Addresses or networks of the proxies in front of this server. Only their X-Forwarded-For and X-Forwarded-Proto count; ' +
      'the right-most address that is no proxy is the client.',
    default: '',
    example: '10.0.0.5, 10.1.0.0/24',
  }),
  keysDir: withDefault(path, {
    env: 'IDENTREE_KEYS_DIR',
    toml: 'server.keys_dir',
    section: 'Server',
    description: 'Folder of the signing keys, readable by the server only. Back it up apart from the database.',
    default: '/var/lib/identree-server/keys',
  }),
  logLevel: withDefault(choice('debug', 'info', 'warn', 'error'), {
    env: 'IDENTREE_LOG_LEVEL',
    toml: 'server.log_level',
    section: 'Server',
    description: 'How much is logged: debug, info, warn or error.',
    default: 'info',
  }),
  metricsToken: optional(secret(16), {
    env: 'IDENTREE_METRICS_TOKEN',
    toml: null,
    section: 'Server',
    description: 'Bearer token that /metrics asks for. Unset: anyone who reaches the server can read the metrics.',
    secret: true,
  }),
};

/** Rules over several of these settings. */
export function checkServer(values: Readable<typeof serverSettings>, { errors, warnings }: Report): void {
  const { certFile, keyFile } = values.tls ?? {};
  bothOrNeither(errors, ['IDENTREE_TLS_CERT_FILE', certFile], ['IDENTREE_TLS_KEY_FILE', keyFile]);
  if (certFile && values.externalUrl?.startsWith('http:')) {
    errors.push({
      setting: 'IDENTREE_EXTERNAL_URL',
      problem: 'is plain http, but IDENTREE_TLS_CERT_FILE is set',
      fix: 'Write it with https.',
    });
  }
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
