import type { Config } from '../config/config.ts';
import { createClientAddress, createNetworkMatcher } from '../platform/client-address.ts';
import type { Clock } from '../platform/clock.ts';
import { healthCheck } from '../platform/health-check.ts';
import type { Module } from '../platform/module.ts';

/** A proxy that forwarded within this is still there, milliseconds; a stray request is forgotten after it. */
const REMEMBERED_MS = 60 * 60_000;

const UNTRUSTED =
  'requests come with X-Forwarded-For from an address that IDENTREE_TRUSTED_PROXIES does not list, so everybody behind it ' +
  'counts as one client: limits are shared, and the history has the address of the proxy';

/**
 * Who the clients are, seen through trusted proxies, and whether there is a proxy that the configuration does not name.
 * What it says changes no status: anybody can send the header.
 */
export function proxyModule(deps: {
  config: Pick<Config, 'trustedProxies'>;
  clock: Clock;
  log: { warn(detail: object, message: string): void };
}) {
  const { config, clock, log } = deps;
  const addressOf = createClientAddress(config.trustedProxies);
  const isTrusted = createNetworkMatcher(config.trustedProxies);
  let seenAt: number | null = null;

  return {
    name: 'proxy',
    clientAddress(peer: string | undefined, forwardedFor: string | readonly string[] | undefined): string {
      if (forwardedFor !== undefined && peer !== undefined && !isTrusted(peer)) {
        // Once: the header is everybody's to send, and the log is not.
        if (seenAt === null) log.warn({ peer }, UNTRUSTED);
        seenAt = clock.now();
      }
      return addressOf(peer, forwardedFor);
    },
    health: [
      healthCheck({
        name: 'proxy',
        about: 'Whether a proxy in front of this server is one of those that it trusts. It is always `ok`.',
        severity: 'degraded',
        values: {},
        details:
          'for an hour, that `X-Forwarded-For` came from an address that `IDENTREE_TRUSTED_PROXIES` does not list',
        run: async () =>
          seenAt !== null && clock.now() - seenAt < REMEMBERED_MS ? { value: null, detail: UNTRUSTED } : null,
      }),
    ],
  } satisfies Module & Record<string, unknown>;
}
