import { startTestIdp } from '../../server/src/testing/test-idp.ts';

/** Somebody who can sign in. */
export interface IdpUser {
  username: string;
  name: string;
  groups: readonly string[];
}

export const ADMIN_GROUP = 'identree-admins';

/** Two people with a Linux account that may sudo, one without that right, one operator. */
export const PEOPLE: readonly IdpUser[] = [
  { username: 'alice', name: 'Alice Ahlberg', groups: ['developers'] },
  { username: 'bob', name: 'Bob Brandt', groups: ['developers'] },
  { username: 'carol', name: 'Carol Costa', groups: [] },
  { username: 'olga', name: 'Olga Operator', groups: [ADMIN_GROUP] },
];

export interface Idp {
  issuer: string;
  clientId: string;
  clientSecret: string;
  close(): Promise<void>;
}

/**
 * The identity provider of the tests, with a page on which a person in a browser chooses who they are. Their subject is
 * `sub-<name>`.
 *
 * @param options.tls serves https; without it plain http on localhost
 */
export async function startIdp(options: {
  redirectUris: readonly string[];
  users?: readonly IdpUser[];
  tls?: { cert: string; key: string };
}): Promise<Idp> {
  const accounts = (options.users ?? PEOPLE).map(({ username, name, groups }) => [
    `sub-${username}`,
    {
      name,
      preferred_username: username,
      email: `${username}@example.com`,
      email_verified: true,
      groups: [...groups],
    },
  ]);
  const atEnd: (() => unknown)[] = [];
  const { issuer, clientId, clientSecret } = await startTestIdp(
    { after: (end) => void atEnd.push(end as () => unknown) },
    {
      accounts: Object.fromEntries(accounts),
      redirectUris: options.redirectUris,
      chooser: true,
      ...(options.tls ? { tls: options.tls } : {}),
    },
  );
  return {
    issuer,
    clientId,
    clientSecret,
    async close() {
      for (const end of atEnd) await end();
    },
  };
}
