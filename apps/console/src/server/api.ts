import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { createTRPCClient, httpLink, TRPCClientError, type TRPCClientErrorLike } from '@trpc/client';
import type { inferRouterOutputs } from '@trpc/server';
import { createTRPCOptionsProxy } from '@trpc/tanstack-react-query';
import type { ConsoleProcedure } from '#shared/console.ts';
import type { AppRouter, ChannelSettings } from '../../../../server/src/app/app.ts';
import type { Unreadable } from '../kit/arrange.ts';

export type { ChannelSettings };

export type Outputs = inferRouterOutputs<AppRouter>;
export type Me = NonNullable<Outputs['me']['get']>;
export type Request = Exclude<Outputs['challenges']['inbox'][number], Unreadable>;
export type Host = Outputs['hosts']['list']['hosts'][number];
export type Passkey = Outputs['passkeys']['list']['passkeys'][number];
export type Session = Outputs['sessions']['list'][number];
export type Person = Exclude<Outputs['people']['list'][number], Unreadable>;
export type DirectoryStatus = NonNullable<Outputs['directory']['status']>;
export type Hold = Exclude<Outputs['directory']['holds'][number], { unreadable: true }>;
export type Account = Outputs['directory']['accounts'][number];
export type Lint = Outputs['directory']['lints'][number];
export type SudoRule = Outputs['sudoRules']['list'][number];
export type RuleInput = SudoRule['rule'];
export type RuleCheck = Outputs['sudoRules']['validate'];
export type ServedRule = Outputs['sudoRules']['served'][number];
export type Simulated = Outputs['sudoRules']['simulate'];
export type LogEvent = Outputs['audit']['events']['list']['events'][number];
export type WholeEvent = Outputs['audit']['events']['get'];
export type AuditSink = Outputs['audit']['sinks']['list'][number];
export type DeadLetter = Outputs['audit']['deadLetters']['list'][number];
export type NotifyChannel = Outputs['notify']['channels']['list'][number];
export type NotifyRoute = Exclude<Outputs['notify']['routes']['list'][number], Unreadable>;
export type RouteRule = NotifyRoute['rule'];
export type Explanation = Outputs['notify']['explain'];
export type NotifyDelivery = Outputs['notify']['deliveries']['list']['deliveries'][number];
export type WholeDelivery = Outputs['notify']['deliveries']['get'];
export type ScimClient = Outputs['scim']['clients'][number];

let csrfToken = '';

/** Called with every answer to `me.get`: the token belongs to the session. */
export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/** A procedure, in the words of the client or of TanStack Query; everything else is about a part of the router or a key. */
type Procedure = { query: unknown } | { mutate: unknown } | { queryOptions: unknown } | { mutationOptions: unknown };

/**
 * What the console may call wherever it runs. A procedure that shared/src/console.ts does not declare is not here: the
 * desktop app would refuse it, so using it is a type error.
 */
type Declared<T, Path extends string = ''> = {
  [Name in keyof T as T[Name] extends Procedure
    ? `${Path}${Name & string}` extends ConsoleProcedure
      ? Name
      : never
    : Name]: T[Name] extends Procedure | ((...parameters: never) => unknown)
    ? T[Name]
    : Declared<T[Name], `${Path}${Name & string}.`>;
};

/** Everything that the server has. For what is offered in a browser only, where `useMayChange` says so. */
export const browserClient = createTRPCClient<AppRouter>({
  links: [httpLink({ url: '/trpc', headers: () => (csrfToken ? { 'x-csrf-token': csrfToken } : {}) })],
});

/** The code of the error table, when the server refused; null when there was no answer. */
export function refusalOf(error: unknown): string | null {
  if (!(error instanceof TRPCClientError)) return null;
  const data = (error as TRPCClientErrorLike<AppRouter>).data as { reason?: string } | null | undefined;
  return data?.reason ?? null;
}

/** What to tell the person. The server's words are made for people; everything else is a connection problem. */
export function messageOf(error: unknown): string {
  if (refusalOf(error) !== null) return (error as Error).message;
  return 'The server cannot be reached. Check your connection and try again.';
}

/** A session that ended elsewhere, or a token that grew old: `me.get` knows, and the console shows the sign-in. */
function checkSession(error: unknown): void {
  if (['not_signed_in', 'session_expired', 'csrf'].includes(refusalOf(error) ?? '')) askWhoIAm();
}

/** Asks anew who is signed in. */
export function askWhoIAm(): void {
  void queryClient.invalidateQueries({ queryKey: api.me.pathKey() });
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: checkSession }),
  mutationCache: new MutationCache({ onError: checkSession }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // A refusal does not change by asking again.
      retry: (failures, error) => refusalOf(error) === null && failures < 2,
      refetchOnWindowFocus: true,
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});

/**
 * Asks anew for everything below a key, or for everything. A first answer that is still on its way may be older than the
 * reason to ask, and TanStack Query starts no second request beside it; so that one is given up.
 */
export async function refresh(queryKey: readonly unknown[] = []): Promise<void> {
  await queryClient.cancelQueries({ queryKey, predicate: ({ state }) => state.data === undefined });
  await queryClient.invalidateQueries({ queryKey });
}

export const browserApi = createTRPCOptionsProxy<AppRouter>({ client: browserClient, queryClient });
export const client: Declared<typeof browserClient> = browserClient;
export const api: Declared<typeof browserApi> = browserApi;
