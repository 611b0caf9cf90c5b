import { z } from 'zod';
import { Refusal } from '#shared/errors.ts';
import { challengeId, parseUserCode } from '#shared/names.ts';
import { endOfPage, TIME_ORDERS } from '#shared/time-order.ts';
import type { LogReads } from '../audit/log-reads.ts';
import { isStorable } from '../db/storable-text.ts';
import { browserProcedure, router, signedInProcedure } from '../http/trpc.ts';
import type { Viewer } from '../http/viewer.ts';
import { assertionResponse } from '../passkeys/assertion-response.ts';
import type { Deciding } from './deciding.ts';
import type { Showing } from './showing.ts';

const reason = z
  .string()
  .trim()
  .max(2000)
  .transform((text) => [...text].slice(0, 500).join(''))
  .refine((text) => !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text), 'control characters')
  .nullish()
  .transform((text) => text || null);

const place = z.object({ createdAt: z.int(), id: z.string().max(64) }).nullish();

export function createChallengesRouter(challenges: Deciding & Showing, reads: LogReads) {
  /** A refused attempt to decide is remembered. */
  async function deciding(viewer: Viewer, id: string, run: () => Promise<void>): Promise<{ ok: true }> {
    try {
      await run();
      return { ok: true };
    } catch (error) {
      if (error instanceof Refusal) await challenges.noteRefusal(viewer, id, error.code);
      throw error;
    }
  }

  return router({
    inbox: signedInProcedure.query(({ ctx }) => challenges.inbox(ctx.viewer)),
    history: signedInProcedure
      .input(
        z.object({
          order: z.enum(TIME_ORDERS).default('newest'),
          /** Where the page before this one ended: `before` of the newest first, `after` of the oldest first. */
          before: place,
          after: place,
          limit: z.int().min(1).max(200).default(50),
          status: z.enum(['pending', 'approved', 'denied', 'expired', 'cancelled']).nullish(),
          search: z.string().trim().max(200).refine(isStorable).nullish(),
        }),
      )
      .query(async ({ ctx, input }) => {
        const { order, before = null, after = null, limit, status = null } = input;
        const search = input.search || null;
        const beyond = order === 'newest' ? before : after;
        const { requests, next } = await challenges.history(ctx.viewer, { order, beyond, limit, status, search });
        // Who is shown nothing but what is their own has read nothing of others.
        if (ctx.viewer.role === 'admin') {
          const read = { what: 'requests', filter: { status, search }, rows: requests.length } as const;
          await reads.record(ctx.viewer, read);
        }
        return { requests, ...endOfPage(order, next) };
      }),
    // `open`: a person opened it. Pages that keep up to date by themselves ask without.
    get: signedInProcedure
      .input(z.object({ code: z.string().max(32), open: z.boolean().default(false) }))
      .query(async ({ ctx, input }) => {
        const code = parseUserCode(input.code);
        const approval = code && (await challenges.approval(ctx.viewer, code, input.open ? 'console' : null));
        if (!approval) throw new Refusal('not_found');
        return approval;
      }),
    approve: browserProcedure
      .input(
        z.object({ challengeId, assertion: assertionResponse.nullish(), confirmTruncated: z.boolean().default(false) }),
      )
      .mutation(({ ctx, input }) =>
        deciding(ctx.viewer, input.challengeId, () =>
          challenges.approve(ctx.viewer, {
            challengeId: input.challengeId,
            assertion: input.assertion ?? null,
            confirmTruncated: input.confirmTruncated,
          }),
        ),
      ),
    deny: signedInProcedure
      .input(z.object({ challengeId, reason }))
      .mutation(({ ctx, input }) => deciding(ctx.viewer, input.challengeId, () => challenges.deny(ctx.viewer, input))),
  });
}
