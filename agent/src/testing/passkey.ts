import { createTestPasskey, type TestPasskey } from '#shared/testing/authenticator.ts';

/** Where the console of the fake server is. */
export const RP_ID = 'localhost';
export const ORIGIN = 'http://localhost:8090';

export const createPasskey = (owner: { issuer: string; subject: string; username: string }): TestPasskey =>
  createTestPasskey(owner, { origin: ORIGIN, rpId: RP_ID });
