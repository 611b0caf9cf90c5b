import type { EventName } from '#shared/events.ts';

/** What people are told of: every event of the log. `test`: somebody tries a channel. */
export type Told = EventName | 'test';

/** Names of what stands beside a sentence, and the words around it. */
export interface Labels {
  user: string;
  host: string;
  command: string;
  code: string;
  expires: string;
  reason: string;
  by: string;
  /** How much time is left; `{seconds}`. */
  seconds: string;
  /** Leads to the page of a request; it never decides by itself. */
  open: string;
  /** `{count}` further ones of the kind. */
  folded: string;
  /** Before the name of an event that another version of the server wrote. */
  other: string;
  /** A request that was announced waits no more. */
  over: string;
}

/**
 * The words of one language. An event without its own does not compile. Texts are ICU messages and may name username,
 * hostname, code, actor and reason. They choose only by whether there is one (`hasActor`): what it is, is written in the
 * format of the channel there.
 */
export interface Catalogue {
  titles: Record<Told, string>;
  texts: Record<Told, string>;
  labels: Labels;
}
