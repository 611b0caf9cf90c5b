import type { FastifyPluginAsync } from 'fastify';
import type { z } from 'zod';
import type { ErrorCode } from '#shared/errors.ts';
import type { UnitOfWork } from '../db/database.ts';
import type { Host } from '../db/schema.ts';
import type { Outcome } from '../db/together.ts';

/** A request as it arrived; `targetUri` is built from the configured external URL, so TLS may end at a proxy. */
export interface SignedRequest {
  method: string;
  targetUri: string;
  body: Uint8Array;
  headers: { signature: string | undefined; signatureInput: string | undefined; contentDigest: string | undefined };
}

/** By what a copy of a host is noticed: a number that only grows, and the machine that it is on. */
export interface Proof {
  counter: number;
  machineId: string;
  agentVersion?: string;
}

/** One call of an operation. */
export interface HostCall<Body, Query> {
  readonly request: SignedRequest;
  readonly remoteAddr: string;
  /** Parameters of the path, as they came. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** Aborts when nobody waits for the answer any more. */
  readonly gone: AbortSignal;
  /** Reads the body. Whoever is not asked for a signature first reads what a stranger wrote. @throws Refusal */
  body(): Body;
  /**
   * Finds out who asks, and admits and acts in one transaction: whatever is refused has changed nothing. The body is read
   * once the signature over it is good.
   */
  act<T>(run: (work: UnitOfWork, host: Host, body: Body) => Promise<T>): Promise<T>;
}

/** One of several calls that are answered in one transaction. */
export interface SharedCall<Body> {
  readonly host: Host;
  readonly body: Body;
  readonly remoteAddr: string;
}

/** How several calls are answered at once: first all of them are looked at, then what is to be done is done. */
export interface Together<Body, Checked> {
  /** Refuses whom it refuses; writes nothing. */
  check(work: UnitOfWork, calls: readonly SharedCall<Body>[]): Promise<Outcome<Checked>[]>;
  /** Does what was not refused; gives the answers. What it throws undoes everything, and each is asked alone. */
  write(work: UnitOfWork, checked: readonly Checked[]): Promise<unknown[]>;
}

/** What hosts may ask: a place below the host API, what is read there, and what is done. */
interface Declaration<Body, Query> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: `/${string}`;
  /** Where its path begins, if that is not the host API. */
  readonly base?: `/${string}`;
  readonly body?: z.ZodType<Body>;
  readonly query?: z.ZodType<Query>;
  /** The body carries counter and machine id, by which a copy of the host is noticed. */
  readonly proves?: Body extends Proof ? true : never;
  /** Secrets can be guessed here, so after too many failures a good one does not count any more either. */
  readonly guessable?: boolean;
  /** Refusals of a known host that are ordinary answers: they leave no security event. */
  readonly ordinary?: readonly ErrorCode[];
  /** Of an answer; 200 unless it says otherwise. */
  readonly status?: 200 | 201 | 204;
  run(call: HostCall<Body, Query>): Promise<unknown>;
}

/** The same, where many hosts ask at the same moment. */
interface SharedDeclaration<Body extends Proof> extends Omit<Declaration<Body, undefined>, 'query' | 'run'> {
  readonly body: z.ZodType<Body>;
  readonly proves: Body extends Proof ? true : never;
  readonly together: Together<Body, unknown>;
}

/** An operation whose body and query nobody but itself knows. */
export type HostOperation = Declaration<Proof, unknown> | SharedDeclaration<Proof>;

/** Declares an operation that is done for several hosts at once. */
export const sharedOperation = <Body extends Proof, Checked>(
  declaration: Omit<SharedDeclaration<Body>, 'together'> & { together: Together<Body, Checked> },
): HostOperation => declaration as unknown as HostOperation;

/** Declares an operation with the types of its body and query. */
export const hostOperation = <Body = undefined, Query = undefined>(
  declaration: Declaration<Body, Query>,
): HostOperation => declaration as unknown as HostOperation;

/** Serves operations: plain routes with zod, signed requests, one error table. */
export type HostApi = (operations: readonly HostOperation[]) => FastifyPluginAsync;
