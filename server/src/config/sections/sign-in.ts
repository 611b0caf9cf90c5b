import { z } from 'zod';
import { optional, required, withDefault } from '../setting.ts';
import { flag, issuedSecret, issuer, list, scopes, text } from '../values.ts';

/** Who signs in, and who of them is an administrator. */
export const signInSettings = {
  oidc: z.object({
    issuerUrl: required(issuer, {
      env: 'IDENTREE_OIDC_ISSUER_URL',
      toml: 'oidc.issuer_url',
      section: 'Sign-in',
      description: 'Issuer of the OpenID Connect identity provider, exactly as it calls itself.',
      example: 'https://id.example.com',
    }),
    clientId: required(text(), {
      env: 'IDENTREE_OIDC_CLIENT_ID',
      toml: 'oidc.client_id',
      section: 'Sign-in',
      description: 'Client identifier that the identity provider gave to this server.',
    }),
    clientSecret: required(issuedSecret, {
      env: 'IDENTREE_OIDC_CLIENT_SECRET',
      toml: null,
      section: 'Sign-in',
      description: 'Client secret that the identity provider gave to this server.',
      secret: true,
    }),
    scopes: optional(scopes, {
      env: 'IDENTREE_OIDC_SCOPES',
      toml: 'oidc.scopes',
      section: 'Sign-in',
      description:
        'Scopes to ask for, separated by blanks. What is written here is asked for as it is: many providers refuse a sign-in that asks for a scope they do not have.',
      defaultNote: '`openid profile email groups`, of these the ones that the provider says it has',
      example: 'openid profile email roles',
    }),
    groupsClaim: withDefault(text(255), {
      env: 'IDENTREE_OIDC_GROUPS_CLAIM',
      toml: 'oidc.groups_claim',
      section: 'Sign-in',
      description: 'Name of the claim that holds the groups of a person, in the ID token or at the userinfo endpoint.',
      default: 'groups',
      example: 'https://example.com/groups',
    }),
    userIdClaim: withDefault(text(255), {
      env: 'IDENTREE_OIDC_USER_ID_CLAIM',
      toml: 'oidc.user_id_claim',
      section: 'Sign-in',
      description:
        'Name of the claim that says the identifier by which the source of people (SCIM, a file) knows a person, where that is not `sub`; for Entra ID `oid`. It must be one that nobody can choose for themselves: it decides whose Linux account somebody approves for.',
      default: 'sub',
      example: 'oid',
    }),
    endSession: withDefault(flag, {
      env: 'IDENTREE_OIDC_END_SESSION',
      toml: 'oidc.end_session',
      section: 'Sign-in',
      description:
        'Who signs out here is signed out at the identity provider too, where it offers that. It has to know the address `/signed-out` of this server as a post logout redirect URI.',
      default: 'true',
    }),
  }),
  adminGroups: required(list, {
    env: 'IDENTREE_ADMIN_GROUPS',
    toml: 'admin.groups',
    section: 'Sign-in',
    description:
      "Groups in the identity provider's groups claim whose members are administrators, separated by commas, letter by letter as they come: Keycloak may send `/admins`.",
    example: 'identree-admins',
  }),
  firstPasskeyNeedsCode: withDefault(flag, {
    env: 'IDENTREE_FIRST_PASSKEY_NEEDS_CODE',
    toml: 'auth.first_passkey_needs_code',
    section: 'Sign-in',
    description:
      "A person's first passkey needs a code from an administrator besides a fresh sign-in, so that the identity provider alone cannot make an approver.",
    default: 'false',
  }),
};
