import * as oidc from 'openid-client';
import type { Config } from '../config/config.ts';
import { isLoopback } from '../config/values.ts';
import type { Clock } from '../platform/clock.ts';
import type { ProviderTrouble } from './identity-provider.ts';
import { explain } from './oidc-errors.ts';

/**
 * How long the provider may take for an answer, seconds. Whoever signs in waits for it, and what it answers later is lost
 * with the code that it gave: a slow one may take a while, as it does after its own start.
 */
const TIMEOUT_SECONDS = 10;
/** How far the provider's clock may be behind ours, seconds. */
export const CLOCK_TOLERANCE = 10;
/** A failed discovery is not tried again sooner than this, so that a dead provider does not delay every request. */
const RETRY_MS = 5_000;
/** Keys and endpoints of the provider are read again after this. */
const METADATA_MAX_AGE_MS = 60 * 60_000;
const CHECK_MAX_AGE_MS = 30_000;
/**
 * Who asks how the server is waits for the provider no longer than this, milliseconds, where something is known of it: a
 * balancer takes a server away that is slow to say that it is well, and approvals need no provider.
 */
const CHECK_PATIENCE_MS = 500;

/** Outbound HTTP, handed in; `fetch` in production. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface ProviderMetadata {
  /** The provider as it describes itself. Old metadata is better than none. */
  get(): Promise<{ ok: true; provider: oidc.Configuration } | ({ ok: false } & ProviderTrouble)>;
  /**
   * Asks the provider itself, whatever metadata is kept; null when it can be used. An answer is good for half a minute, and
   * until there is another one where the provider is slow.
   */
  check(): Promise<ProviderTrouble | null>;
}

/** The metadata of a provider cannot be used, whoever repeats the request. The message is fit for anybody. */
class Unusable extends Error {}

/** Discovery of the configured provider (OpenID Connect Discovery 1.0), again every hour. */
export function createProviderMetadata(deps: {
  config: Pick<Config, 'oidc'>;
  clock: Clock;
  fetch?: Fetch;
  log: { warn(detail: object, message: string): void };
}): ProviderMetadata {
  const { config, clock, log } = deps;
  const issuer = new URL(config.oidc.issuerUrl);
  const insecure = issuer.protocol === 'http:';
  if (insecure && !isLoopback(issuer.hostname)) {
    throw new TypeError('an http:// issuer is accepted on loopback only');
  }
  let known: { provider: oidc.Configuration; at: number } | null = null;
  let failed: { trouble: ProviderTrouble; at: number } | null = null;
  let running: ReturnType<typeof discover> | null = null;
  let checked: { trouble: ProviderTrouble | null; at: number } | null = null;

  const customFetch: oidc.CustomFetch = (url, options) => {
    // No redirect is followed: discovery and token answers come from where the configuration says, or not at all.
    const init = { ...options, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000) } as RequestInit;
    return (deps.fetch ?? fetch)(url, init);
  };

  async function read(): Promise<oidc.Configuration> {
    const found = await oidc.discovery(issuer, config.oidc.clientId, undefined, undefined, {
      timeout: TIMEOUT_SECONDS,
      [oidc.customFetch]: customFetch,
      execute: insecure ? [oidc.allowInsecureRequests] : [],
    });
    const metadata = found.serverMetadata();
    // A provider on https that sends the browser or our client secret over plain http.
    for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint'] as const) {
      const endpoint = URL.parse(metadata[name] ?? 'https://absent.invalid');
      if (
        endpoint?.protocol !== 'https:' &&
        !(insecure && endpoint?.protocol === 'http:' && isLoopback(endpoint.hostname))
      ) {
        throw new Unusable(`its ${name} is not https`);
      }
    }
    const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const { clientId, clientSecret } = config.oidc;
    const authentication = methods.includes('client_secret_basic')
      ? oidc.ClientSecretBasic(clientSecret)
      : oidc.ClientSecretPost(clientSecret);
    const provider = new oidc.Configuration(
      metadata,
      clientId,
      { client_secret: clientSecret, [oidc.clockTolerance]: CLOCK_TOLERANCE },
      authentication,
    );
    provider.timeout = TIMEOUT_SECONDS;
    provider[oidc.customFetch] = customFetch;
    if (insecure) oidc.allowInsecureRequests(provider);
    return provider;
  }

  function troubleOf(error: unknown): ProviderTrouble {
    if (error instanceof Unusable) return { problem: 'provider_misconfigured', detail: error.message };
    const named = otherIssuer(error);
    if (named === null) return { problem: 'provider_unreachable', detail: explain(error) };
    return {
      problem: 'provider_misconfigured',
      detail: `calls itself ${named}, configured is ${config.oidc.issuerUrl}`,
    };
  }

  async function discover(): ReturnType<ProviderMetadata['get']> {
    try {
      const provider = await read();
      known = { provider, at: clock.now() };
      return { ok: true, provider };
    } catch (error) {
      const trouble = troubleOf(error);
      failed = { trouble, at: clock.now() };
      const message =
        trouble.problem === 'provider_unreachable'
          ? 'the identity provider cannot be reached'
          : 'the identity provider and its settings here do not fit together: nobody can sign in';
      log.warn({ issuer: config.oidc.issuerUrl, detail: trouble.detail }, message);
      return { ok: false, ...trouble };
    } finally {
      running = null;
    }
  }

  function discoverOnce() {
    running ??= discover();
    return running;
  }

  return {
    async get() {
      const now = clock.now();
      if (known && now - known.at < METADATA_MAX_AGE_MS) return { ok: true, provider: known.provider };
      const found =
        failed && now - failed.at < RETRY_MS ? { ok: false as const, ...failed.trouble } : await discoverOnce();
      return found.ok || known === null ? found : { ok: true, provider: known.provider };
    },

    async check() {
      const now = clock.now();
      if (checked && now - checked.at < CHECK_MAX_AGE_MS) return checked.trouble;
      const found = discoverOnce().then((found) => {
        const trouble = found.ok ? null : { problem: found.problem, detail: found.detail };
        checked = { trouble, at: clock.now() };
        return trouble;
      });
      if (checked === null) return found;
      const before = checked;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<ProviderTrouble | null>((resolve) => {
        timer = setTimeout(() => {
          // The others who ask meanwhile need not wait as well.
          if (checked === before) checked = { ...before, at: clock.now() };
          resolve(checked?.trouble ?? null);
        }, CHECK_PATIENCE_MS);
      });
      return Promise.race([found, late]).finally(() => clearTimeout(timer));
    },
  };
}

/** The issuer that the metadata names when it is another than the one asked for (OpenID Connect Discovery 1.0, 4.3). */
function otherIssuer(error: unknown): string | null {
  if (!(error instanceof oidc.ClientError) || error.code !== 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED') return null;
  const cause = error.cause as { attribute?: unknown; body?: { issuer?: unknown } } | undefined;
  const named = cause?.body?.issuer;
  return cause?.attribute === 'issuer' && typeof named === 'string' ? named.slice(0, 300) : null;
}
