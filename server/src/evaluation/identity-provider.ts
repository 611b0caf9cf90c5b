import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import Provider, { type Configuration } from 'oidc-provider';
import { createMemoryAdapter } from './memory-adapter.ts';
import { type SamplePeople, subjectOf } from './people.ts';

/** Path of the identity provider on the server's own origin; with it the issuer. */
export const IDP_PATH = '/evaluation/idp';

export const interactionPath = (uid: string): string => `${IDP_PATH}/interaction/${uid}`;

/** The one client of the provider: the server that it is part of. */
export interface IdpClient {
  issuerUrl: string;
  clientId: string;
  clientSecret: string;
}

/**
 * A certified OpenID provider whose people come from a file. It keeps nothing: keys, client secret and sessions are new
 * at every start.
 */
export async function createEvaluationProvider(
  externalUrl: string,
  sample: SamplePeople,
): Promise<{ provider: Provider; client: IdpClient }> {
  const client = {
    issuerUrl: `${externalUrl}${IDP_PATH}`,
    clientId: 'identree',
    clientSecret: randomBytes(32).toString('hex'),
  };
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const configuration: Configuration = {
    adapter: createMemoryAdapter(Date.now),
    clients: [
      {
        client_id: client.clientId,
        client_secret: client.clientSecret,
        redirect_uris: [`${externalUrl}/callback`],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'evaluation' }] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    // The server reads groups from the ID token.
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: false } },
    interactions: { url: (_, interaction) => interactionPath(interaction.uid) },
    ttl: { Session: 12 * 3600, Grant: 12 * 3600, AccessToken: 600, IdToken: 600, Interaction: 900 },
    findAccount: (_, id) => {
      const person = sample.people.find(({ username }) => id === subjectOf(username));
      if (!person) return undefined;
      return {
        accountId: id,
        claims: () => ({
          sub: id,
          name: person.name,
          preferred_username: person.username,
          email: `${person.username}@example.com`,
          email_verified: true,
          groups: [...person.groups],
        }),
      };
    },
    // The one client is the server itself, so nobody is asked for consent.
    async loadExistingGrant({ oidc }) {
      const accountId = oidc.session?.accountId;
      if (!oidc.client || !accountId) return undefined;
      const grantId = oidc.result?.consent?.grantId ?? oidc.session?.grantIdFor(oidc.client.clientId);
      const existing = grantId ? await provider.Grant.find(grantId) : undefined;
      if (existing) return existing;
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId });
      grant.addOIDCScope('openid profile email groups');
      await grant.save();
      return grant;
    },
  };
  const provider: Provider = new Provider(client.issuerUrl, configuration);
  return { provider, client };
}
