import { z } from 'zod';
import { required, withDefault } from '../setting.ts';
import { flag, issuedSecret, issuer, list, text } from '../values.ts';

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
  }),
  adminGroups: required(list, {
    env: 'IDENTREE_ADMIN_GROUPS',
    toml: 'admin.groups',
    section: 'Sign-in',
    description:
      "Groups in the identity provider's groups claim whose members are administrators, separated by commas.",
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
