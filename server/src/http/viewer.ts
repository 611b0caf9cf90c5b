import type { FastifyRequest } from 'fastify';
import type { SubjectId } from '#shared/decision.ts';

/** Session kinds have fixed capabilities: `desktop` may look and deny, nothing else. */
export type SessionKind = 'browser' | 'desktop';

export type Role = 'admin' | 'user';

/** The person behind a request, computed anew for each one. */
export interface Viewer {
  person: SubjectId & {
    id: string;
    username: string;
    displayName: string;
    groups: readonly string[];
    epoch: number;
    /** By what the source of people knows them, where that is not the subject: the claim, and what it said. */
    sourceId: { claim: string; value: string } | null;
  };
  role: Role;
  /** Linux accounts that are this person's. */
  accounts: readonly string[];
  session: {
    /** SHA-256 of the cookie value. */
    idHash: string;
    handle: string;
    kind: SessionKind;
    /** When the person last proved who they are to the identity provider, milliseconds. */
    authTime: number;
    csrfToken: string;
  };
  remoteAddr: string;
}

/** Who is behind a request; asked once per request, however many hooks and handlers want to know. */
export type ViewerOf = (request: FastifyRequest) => Promise<Viewer | null>;

/** What a request brings to say who is behind it. */
export interface Credentials {
  cookie: string | undefined;
  authorization: string | undefined;
  remoteAddr: string;
}

export const credentialsOf = (request: FastifyRequest): Credentials => ({
  cookie: request.headers.cookie,
  authorization: request.headers.authorization,
  remoteAddr: request.clientAddress,
});
