import { z } from 'zod';
import type { Outbound, OutboundRequest, Sent } from '../../outbound/outbound.ts';
import { readTypedUrl } from '../../outbound/typed-url.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RunCommand } from '../../platform/run-command.ts';
import type { Delivery, Notice } from '../channel.ts';
import { NOTICE_LOCALES } from '../words/words.ts';
import { type RawExchange, shownAddress } from './exchange.ts';
import type { Vapid } from './vapid.ts';

/** What a channel reaches the world with. */
export interface ChannelDeps {
  outbound: Pick<Outbound, 'post' | 'target'>;
  clock: Clock;
  /** How long an attempt may take, milliseconds. */
  timeoutMs: number;
  /** Runs commands of operators. */
  run: RunCommand;
  /** `PATH` and `HOME` of this server, which every program needs. */
  environment: Readonly<Record<string, string>>;
  /** What push services know this server by. */
  vapid: () => Promise<Vapid>;
}

/** What the environment says about a channel; see `config/sections/notify.ts`. */
export interface Secret {
  token: string | null;
  command: string | null;
}

/** Is told what was said and answered, before anything of it is hidden. */
export type Seen = (exchange: RawExchange) => void;

type Open<Settings> = (
  settings: Settings,
  secret: Secret,
  deps: ChannelDeps & { name: string },
) => (notice: Notice, signal: AbortSignal, seen: Seen) => Promise<Delivery>;

/** One way to tell somebody: what is stored of it, and what it does with that. */
export interface Kind {
  settings: z.ZodObject;
  /** Which of its settings are no secret, nor hold one: they are shown as they are. All others are masked. */
  shown: readonly string[];
  /** What of the environment it cannot do without. */
  needs?: 'token' | 'command';
  /** How many addresses it tells; one unless it says so. @throws ZodError about the settings */
  reaches?: (settings: unknown) => number;
  /**
   * @throws ZodError about the settings
   * @throws Error with what is wrong with settings or secret, without quoting either
   */
  open: Open<unknown>;
}

/** A kind whose settings have this shape. It is strict: what is misspelled would have no effect, and nobody would know. */
export const defineKind = <Schema extends z.ZodObject>(kind: {
  settings: Schema;
  shown?: readonly (keyof z.input<Schema> & string)[];
  needs?: 'token' | 'command';
  reaches?: (settings: z.output<Schema>) => number;
  open: Open<z.output<Schema>>;
}): Omit<Kind, 'settings'> & { settings: Schema } => ({
  ...kind,
  shown: kind.shown ?? [],
  reaches: (settings) => kind.reaches?.(kind.settings.parse(settings)) ?? 1,
  open: (settings, ...rest) => kind.open(kind.settings.parse(settings), ...rest),
});

/** Language of a channel. */
export const locale = z.enum(NOTICE_LOCALES).default('en');

/** A URL as an operator types it. Where it leads is judged each time that it is used. */
export const typedUrl = z
  .string()
  .max(2048)
  .superRefine((text, context) => {
    const typed = readTypedUrl(text);
    if (!typed.ok) context.addIssue({ code: 'custom', message: `${typed.problem}. ${typed.fix}` });
  });

/** A token that stands in a header: what is no text of a header would be an error that quotes it. */
export function headerToken(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('its token holds blanks or other characters that no token has');
  return token;
}

/** `Authorization` with a bearer token, or nothing. */
export const bearer = ({ token }: Secret): Record<string, string> =>
  token === null ? {} : { authorization: `Bearer ${headerToken(token)}` };

/**
 * What an exchange means for a notice. Only the status is told: a service may repeat the token in what it says.
 *
 * @param retryMs when the service says in its own way when to ask again
 */
export function deliveryOf(sent: Sent, retryMs: number | null = null): Delivery {
  if (!sent.ok) return sent.final ? refused(sent.reason) : later(sent.reason);
  const { status } = sent.answer;
  if (status >= 200 && status < 300) return { outcome: 'delivered' };
  const reason = `the receiver answers ${status}`;
  const passes = status === 408 || status === 425 || status === 429 || status >= 500;
  return passes ? later(reason, sent.answer.retryMs ?? retryMs) : refused(reason);
}

export const later = (reason: string, retryMs: number | null = null): Delivery => ({
  outcome: 'later',
  reason,
  retryMs,
});
export const refused = (reason: string): Delivery => ({ outcome: 'refused', reason });

/** Shorter words of `Authorization` are its scheme, or a token that is masked as such. */
const LEAST_PROOF = 16;

/** Posts, and tells what was said and answered. */
export async function postSeen(
  { outbound }: Pick<ChannelDeps, 'outbound'>,
  request: OutboundRequest,
  seen: Seen,
): Promise<Sent> {
  const { url, headers } = request;
  // A bearer token, or the two of VAPID with what stands around them.
  const proofs = (headers.authorization ?? '').split(/[\s,=]+/).filter((word) => word.length >= LEAST_PROOF);
  const about = { request: `POST ${shownAddress(url)}`, secrets: [url, ...proofs] };
  seen({ ...about, status: null, answer: '', inside: false });
  const sent = await outbound.post(request);
  if (sent.ok) seen({ ...about, status: String(sent.answer.status), answer: sent.answer.body, inside: sent.opened });
  return sent;
}

/** Posts JSON and says what came of it. */
export async function postJson(
  deps: Pick<ChannelDeps, 'outbound'>,
  request: { url: string; headers?: Record<string, string>; json: unknown; signal: AbortSignal; seen: Seen },
): Promise<Delivery> {
  const { url, headers = {}, json, signal, seen } = request;
  return deliveryOf(await postSeen(deps, { url, headers, body: JSON.stringify(json), signal }, seen));
}

/** Seconds that are left of a request; 0 for everything that is about none. */
export const expiresIn = ({ request }: Notice, now: number): number =>
  request === null ? 0 : Math.max(0, Math.ceil((request.expiresAt - now) / 1000));

/** RFC 3339 in UTC, whole seconds, as the Go identree wrote it. */
export const wholeSeconds = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;

/** Code in Markdown and its relatives, where nothing formats, mentions or links. `wrap` goes over the text inside. */
export const inCode = (value: string, wrap: (text: string) => string = (text) => text): string =>
  `\`${wrap(value.replaceAll('`', 'ˋ'))}\``;

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
