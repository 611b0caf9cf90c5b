/** How somebody is told. Those of the Go identree keep their names. */
export const CHANNEL_KINDS = [
  'webhook',
  'slack',
  'discord',
  'apprise',
  'ntfy',
  'custom',
  'email',
  'web_push',
  'telegram',
] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number];

/** What somebody is told. Times are milliseconds since 1970; what was typed by people stands here as it was typed. */
export interface Notice {
  /** Stays the same on every try, so that a receiver can fold what comes twice. */
  readonly id: string;
  /** Name of the event, or `test`. */
  readonly event: string;
  readonly username: string;
  readonly hostname: string;
  /** Null where the event is about no request. */
  readonly request: {
    readonly userCode: string;
    readonly approvalUrl: string;
    /** Only ever set for a channel that reaches one person. */
    readonly onetapUrl: string | null;
    readonly expiresAt: number;
    /** The command as people are shown it; null for a sign-in. */
    readonly command: string | null;
  } | null;
  readonly at: number;
  readonly reason: string | null;
  readonly actor: string | null;
  /** How many further notices of its kind this one stands for; 0: none. */
  readonly folded: number;
  /** It takes an announcement back where that is still shown, and is no news. Only browsers are given such. */
  readonly takesBack?: true;
}

/** What became of one try. */
export type Delivery =
  | { readonly outcome: 'delivered' }
  /** It is worth trying again, not before so long, milliseconds; null: the receiver does not say. */
  | { readonly outcome: 'later'; readonly reason: string; readonly retryMs: number | null }
  /** It will never be taken. `gone`: neither will anything else, and the address is to be forgotten. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly gone?: true };

/** What was said and answered in one try, as far as people may read it: there is no secret in it. */
export interface Exchange {
  /** What was asked of whom: `POST https://hooks.example.com/…`. */
  readonly request: string;
  /** What was answered in a word: `200`. Null: nothing was. */
  readonly status: string | null;
  /** How the answer begins. Null: it is empty, or not for people to read. */
  readonly answer: string | null;
}

/** One configured way to tell somebody. Reasons name no secret and no address that holds one. */
export interface Channel {
  readonly name: string;
  readonly kind: ChannelKind;
  /**
   * Ends with the signal. Never rejects: what cannot be done is a `Delivery`.
   *
   * @param seen called with what is known of the exchange, each time that more of it is
   */
  deliver(notice: Notice, signal: AbortSignal, seen?: (exchange: Exchange) => void): Promise<Delivery>;
}
