import type { api, browserApi, browserClient, client } from './api.ts';

/** Checked by the compiler, never called: what the desktop app would refuse cannot be written as if it worked there. */
export function declaredOnly(ours: typeof api, called: typeof client): void {
  void ours.directory.accounts.queryOptions;
  void called.directory.accounts.query;
  void ours.challenges.deny.mutationOptions;
  void ours.hosts.pathKey();
  void ours.audit.sinks.list.queryOptions;
  // @ts-expect-error: a query that no page declares.
  void ours.audit.export;
  // @ts-expect-error: a change that only a browser may make, further down.
  void called.audit.deadLetters.retry;
  // @ts-expect-error: a query that no page declares.
  void ours.sudoRules.export;
  // @ts-expect-error: the same without TanStack Query.
  void called.sudoRules.export;
  // @ts-expect-error: a change that only a browser may make.
  void ours.hosts.revoke;
  // @ts-expect-error: the same without TanStack Query.
  void called.hosts.revoke;
  // @ts-expect-error: this one is on no server.
  void ours.directory.secrets;
}

/** What is offered in a browser only says so by its name. */
export function inBrowsers(ours: typeof browserApi, called: typeof browserClient): void {
  void ours.hosts.revoke.mutationOptions;
  void called.sudoRules.export.query;
}
