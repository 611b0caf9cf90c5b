import type { ExchangeResult, Identity, IdentityProvider, ProviderTrouble } from '../auth/identity-provider.ts';

/** An identity provider that says what the test tells it to. Hand it to `createTestApp({ app: { provider } })`. */
export interface TestProvider extends IdentityProvider {
  /** What the next exchange answers. */
  next: ExchangeResult;
  /** Why nobody can sign in; null: they can. */
  away: ProviderTrouble | null;
  /** Every sign-in that was begun, newest last. */
  begun: { state: string; fresh: boolean }[];
}

export function createTestProvider(): TestProvider {
  const provider: TestProvider = {
    next: { ok: false, problem: 'invalid_answer', detail: 'the test set no identity' },
    away: null,
    begun: [],
    async authorizationUrl({ state }, { fresh }) {
      provider.begun.push({ state, fresh });
      if (provider.away !== null) return { ok: false, ...provider.away };
      return { ok: true, url: new URL(`https://idp.test/authorize?state=${encodeURIComponent(state)}`) };
    },
    exchange: async () => provider.next,
    verifyLogout: async () => ({ ok: false, problem: 'invalid_token', detail: 'this provider ends no sessions' }),
    endSessionUrl: async () => null,
    trouble: async () => provider.away,
  };
  return provider;
}

/** What the provider says about somebody: a stranger to every group, whose password was typed at an unknown time. */
export function identity(username: string, more: Partial<Identity> = {}): Identity {
  return {
    issuer: 'https://idp.test',
    subject: `subject of ${username}`,
    username,
    displayName: username[0]!.toUpperCase() + username.slice(1),
    email: null,
    groups: [],
    groupsUnknown: null,
    sid: null,
    sourceId: null,
    idToken: null,
    authTime: 0,
    ...more,
  };
}
