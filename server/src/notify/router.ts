import { z } from 'zod';
import { Refusal } from '#shared/errors.ts';
import { EVENT_NAMES } from '#shared/event-outcome.ts';
import { challengeId, uuid } from '#shared/names.ts';
import type { LogReads } from '../audit/log-reads.ts';
import type { Database } from '../db/database.ts';
import {
  adminProcedure,
  adminViewProcedure,
  browserProcedure,
  type RestMeta,
  router,
  signedInProcedure,
} from '../http/trpc.ts';
import type { Viewer } from '../http/viewer.ts';
import type { RateLimiter } from '../platform/rate-limiter.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import { findChannel } from './channel-store.ts';
import type { Chosen } from './chosen.ts';
import type { Configured, Operator } from './configured.ts';
import type { Deliveries } from './deliveries.ts';
import type { Explanation } from './explain.ts';
import type { Routes } from './route-rules.ts';
import { channelInput, channelName, preferences, routeRule } from './settings.ts';
import { channelView } from './shown.ts';
import type { TakeOver } from './take-over.ts';
import { MOST_ASKED_OF, type ToOne } from './to-one.ts';
import type { Uses } from './uses.ts';
import { NOTICE_LOCALES } from './words/words.ts';

const revision = z.int().min(1);
const deliveryId = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** A place in the list, as an address names it: `<milliseconds>-<id>`. */
const place = z
  .string()
  .regex(/^[0-9]{1,15}-[A-Za-z0-9_-]{43}$/)
  .nullish()
  .transform((text) => {
    if (!text) return null;
    const at = text.indexOf('-');
    return { createdAt: Number(text.slice(0, at)), id: text.slice(at + 1) };
  });

/** Which dead letters are meant: one, or all of a channel. */
const whichDead = z
  .object({ id: deliveryId.optional(), channel: channelName.optional() })
  .transform(({ id, channel }, ctx) => {
    if (id !== undefined && channel === undefined) return { id };
    if (channel !== undefined && id === undefined) return { channel };
    ctx.addIssue({ code: 'custom', message: 'either an id or a channel' });
    return z.NEVER;
  });

/** Nothing was written: 422 for what is wrong with what was asked for. */
const written =
  (status: number) =>
  (output: unknown): number =>
    (output as { ok: boolean }).ok ? status : 422;

const rest = (
  method: RestMeta['method'],
  path: `/${string}`,
  summary: string,
  status?: RestMeta['status'],
): { rest: RestMeta } => ({ rest: { method, path: `/notify${path}`, summary, ...(status ? { status } : {}) } });

const operatorOf = ({ person, role, remoteAddr }: Viewer): Operator => ({
  personId: person.id,
  isAdmin: role === 'admin',
  username: person.username,
  remoteAddr,
});

/** `notify.*`: who is told what, on which channel, and what became of it. */
export function createNotifyRouter(deps: {
  db: Pick<Database, 'query'>;
  unreadable: Pick<UnreadableRows, 'report'>;
  configured: Configured;
  routes: Routes;
  chosen: Chosen;
  deliveries: Deliveries;
  explain: (seq: number) => Promise<Explanation>;
  uses: (name: string) => Promise<Uses | null>;
  takeOver: TakeOver;
  toOne: ToOne;
  reads: LogReads;
  /** What browsers subscribe with. */
  pushKey: string;
  /** By person. */
  tests: RateLimiter;
  /** By person. */
  weeks: RateLimiter;
  /** By session. */
  screens: RateLimiter;
}) {
  const { configured, routes, chosen, deliveries } = deps;
  /** Whose deliveries somebody sees: an administrator's everybody's. */
  const seenBy = (viewer: Viewer): string | null => (viewer.role === 'admin' ? null : viewer.person.id);

  return router({
    channels: router({
      list: signedInProcedure
        .meta(rest('GET', '/channels', "One's own channels, and for administrators the shared ones; secrets masked"))
        .query(async ({ ctx: { viewer } }) => {
          const all = await configured.list();
          const seen = all.filter(({ owner }) =>
            owner === null ? viewer.role === 'admin' : owner === viewer.person.id,
          );
          return Promise.all(seen.map((channel) => channelView(deps.db.query, channel, configured.problemOf(channel))));
        }),
      add: browserProcedure
        .meta(
          rest('POST', '/channels', 'Set up a channel: for oneself, or as an administrator a shared one', written(201)),
        )
        .input(channelInput.extend({ name: channelName, personal: z.boolean() }))
        .mutation(({ ctx, input: { name, personal, ...input } }) =>
          configured.add(name, input, { personal }, operatorOf(ctx.viewer)),
        ),
      change: browserProcedure
        .meta(
          rest(
            'PUT',
            '/channels/{name}',
            'Change a channel that still has this revision; what is left out stays',
            written(200),
          ),
        )
        .input(
          z.object({
            name: channelName,
            revision,
            settings: channelInput.shape.settings.optional(),
            /** Settings that are shown masked stay as they are: nobody can give back what they were not shown. */
            keepHidden: z.boolean().default(false),
            enabled: z.boolean().optional(),
            paused: z.boolean().optional(),
            perMinute: channelInput.shape.perMinute.unwrap().optional(),
            atOnce: channelInput.shape.atOnce.unwrap().optional(),
            foldFrom: channelInput.shape.foldFrom.unwrap().optional(),
          }),
        )
        .mutation(({ ctx, input: { name, revision: of, keepHidden, ...given } }) => {
          const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
          return configured.change(name, of, set, operatorOf(ctx.viewer), { keepHidden });
        }),
      uses: adminViewProcedure
        .meta(rest('GET', '/channels/{name}/uses', 'What would be without a shared channel that is removed'))
        .input(z.object({ name: channelName }))
        .query(async ({ input }) => {
          const uses = await deps.uses(input.name);
          if (uses === null) throw new Refusal('not_found');
          return uses;
        }),
      import: adminProcedure
        .meta(rest('POST', '/channels/import', 'Takes over a file of the Go identree: channels, routes or preferences'))
        .input(z.object({ content: z.string().max(60_000) }))
        .mutation(({ ctx, input }) => deps.takeOver(input.content, operatorOf(ctx.viewer))),
      remove: browserProcedure
        .meta(rest('DELETE', '/channels/{name}', 'Remove a channel; what waits for it is told to nobody'))
        .input(z.object({ name: channelName }))
        .mutation(async ({ ctx, input }) => {
          await configured.remove(input.name, operatorOf(ctx.viewer));
          return { ok: true };
        }),
    }),
    routes: router({
      list: adminViewProcedure
        .meta(rest('GET', '/routes', 'Which events go to which shared channels'))
        .query(async () =>
          (await routes.list()).map((route) =>
            'unreadable' in route ? deps.unreadable.report('notify_routes', route) : route,
          ),
        ),
      add: adminProcedure
        .meta(rest('POST', '/routes', 'Make a route; an empty list means all', written(201)))
        .input(z.object({ rule: routeRule, enabled: z.boolean().default(true) }))
        .mutation(({ ctx, input }) => routes.add(input.rule, input.enabled, operatorOf(ctx.viewer))),
      change: adminProcedure
        .meta(rest('PUT', '/routes/{id}', 'Change a route that still has this revision', written(200)))
        .input(z.object({ id: uuid, revision, rule: routeRule, enabled: z.boolean() }))
        .mutation(({ ctx, input }) =>
          routes.change(input.id, input.revision, input.rule, input.enabled, operatorOf(ctx.viewer)),
        ),
      remove: adminProcedure
        .meta(rest('DELETE', '/routes/{id}', 'Remove a route that still has this revision', written(200)))
        .input(z.object({ id: uuid, revision: z.coerce.number().pipe(revision) }))
        .mutation(({ ctx, input }) => routes.remove(input.id, input.revision, operatorOf(ctx.viewer))),
    }),
    preferences: router({
      get: signedInProcedure
        .meta(rest('GET', '/preferences', 'What one is told oneself, where, and when not'))
        .query(({ ctx }) => chosen.get(ctx.viewer.person.id)),
      set: browserProcedure
        .meta(rest('PUT', '/preferences', 'Choose what one is told oneself; an empty list means all', written(200)))
        .input(preferences)
        .mutation(({ ctx, input }) => chosen.set(ctx.viewer, input)),
    }),
    deliveries: router({
      list: signedInProcedure
        .meta(
          rest(
            'GET',
            '/deliveries',
            "What was told and what waits, newest first: on one's own channels, for administrators on all",
          ),
        )
        .input(
          z.object({
            channel: channelName.nullish(),
            status: z.enum(['queued', 'delivered', 'skipped', 'folded', 'dead', 'discarded']).nullish(),
            seq: z.coerce.number().pipe(z.int().min(1)).nullish(),
            before: place,
            limit: z.int().min(1).max(200).default(50),
          }),
        )
        .query(async ({ ctx, input: { channel = null, status = null, seq = null, before, limit } }) => {
          const filter = { channel, status, seq, person: seenBy(ctx.viewer) };
          const page = await deliveries.list(filter, { before, limit });
          return { deliveries: page.deliveries, older: page.older && `${page.older.createdAt}-${page.older.id}` };
        }),
      get: signedInProcedure
        .meta(rest('GET', '/deliveries/{id}', 'A delivery with all its attempts'))
        .input(z.object({ id: deliveryId }))
        .query(async ({ ctx, input }) => {
          const found = await deliveries.get(input.id, seenBy(ctx.viewer), ctx.viewer.person.id);
          if (found === null) throw new Refusal('not_found');
          return found;
        }),
      retry: adminProcedure
        .meta(rest('POST', '/deliveries/retry', 'Has what was given up sent again: one, or all of a channel'))
        .input(whichDead)
        .mutation(async ({ ctx, input }) => ({ count: await deliveries.retry(input, operatorOf(ctx.viewer)) })),
      discard: adminProcedure
        .meta(rest('POST', '/deliveries/discard', 'Discards what was given up: one, or all of a channel'))
        .input(whichDead)
        .mutation(async ({ ctx, input }) => ({ count: await deliveries.discard(input, operatorOf(ctx.viewer)) })),
    }),
    /** By the rules of now; what was delivered is in it as it was. */
    explain: adminViewProcedure
      .meta(rest('GET', '/explain/{seq}', 'Who is told of an event, by which rules, and who is not and why'))
      .input(z.object({ seq: z.coerce.number().pipe(z.int().min(1)) }))
      .query(async ({ ctx: { viewer }, input: { seq } }) => {
        const explanation = await deps.explain(seq);
        // It says what happened to whom and where: whoever goes through the numbers has read the log.
        await deps.reads.record(viewer, { what: 'event', filter: { seq }, rows: 1 });
        return explanation;
      }),
    test: browserProcedure
      .meta(rest('POST', '/test', 'Sends a test on a channel, on the way that everything else goes'))
      .input(z.object({ channel: channelName }))
      .mutation(async ({ ctx: { viewer }, input }) => {
        const channel = await findChannel(deps.db.query, input.channel);
        const isTheirs = channel?.owner === viewer.person.id;
        const isShared = channel?.owner === null && viewer.role === 'admin';
        if (channel === null || !(isTheirs || isShared)) throw new Refusal('not_found');
        if (!deps.tests.take(viewer.person.id)) throw new Refusal('rate_limited');
        return { id: await deliveries.test(channel, viewer.person.username) };
      }),
    /** By what one has chosen now, of what the last seven days brought. */
    week: signedInProcedure
      .meta(rest('GET', '/week', 'What of the last seven days would have been told to oneself, and where'))
      .input(z.object({ lang: z.enum(NOTICE_LOCALES).default('en') }).default({ lang: 'en' }))
      .query(async ({ ctx: { viewer }, input: { lang } }) => {
        if (!deps.weeks.take(viewer.person.id)) throw new Refusal('rate_limited');
        const week = await deps.toOne.week(viewer.person.id, lang);
        // It is a look into the log, whatever it is called; who is no administrator saw nothing of others.
        if (viewer.role === 'admin')
          await deps.reads.record(viewer, { what: 'events', filter: { told: true }, rows: week.told.length });
        return week;
      }),
    /** For consoles and desktop apps, which know by themselves what waits. */
    onScreen: signedInProcedure
      .input(z.object({ ids: z.array(challengeId).max(MOST_ASKED_OF) }))
      .query(({ ctx: { viewer }, input }) => {
        if (!deps.screens.take(viewer.session.handle)) throw new Refusal('rate_limited');
        return deps.toOne.onScreen(viewer.person.id, input.ids);
      }),
    pushKey: signedInProcedure
      .meta(rest('GET', '/push-key', 'The key with which a browser subscribes to the messages of this server'))
      .query(() => ({ key: deps.pushKey })),
    /** Names of all events, for those who choose some. */
    events: signedInProcedure.query(() => [...EVENT_NAMES]),
  });
}
