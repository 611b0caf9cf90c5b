import { createHash } from 'node:crypto';
import { z } from 'zod';
import { noticeWords, overWords } from '../words/words.ts';
import { defineKind, deliveryOf, expiresIn, locale, postSeen, typedUrl } from './kind.ts';
import { firstBytes } from './ntfy.ts';
import { encryptPush } from './push-encryption.ts';

/** Push services need not take more than 4096 bytes, encrypted. */
const MAX_BODY_BYTES = 2000;
const DAY_S = 86_400;

const bytes = (length: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]+=*$/)
    .transform((text) => Buffer.from(text, 'base64url'))
    .refine((value) => value.length === length, `is not ${length} bytes in base64url`);

/** One browser that a person wants to be told in. What it shows leads to a page, and decides nothing. */
export const webPush = defineKind({
  settings: z.strictObject({ endpoint: typedUrl, p256dh: bytes(65), auth: bytes(16), locale }),
  shown: ['locale'],
  open({ endpoint, p256dh, auth, locale }, _secret, deps) {
    const subscriber = { publicKey: p256dh, auth };
    try {
      encryptPush(Buffer.of(), subscriber);
    } catch {
      throw new Error('its p256dh is no key of a browser');
    }
    return async (notice, signal, seen) => {
      const now = deps.clock.now();
      const words = notice.takesBack ? overWords(locale) : noticeWords(notice, locale, now);
      const waits = words.link !== null;
      // What became of a request takes the place of its announcement.
      const about = createHash('sha256')
        .update(notice.request?.userCode ?? notice.id)
        .digest('base64url')
        .slice(0, 32);
      const message = JSON.stringify({
        id: notice.id,
        event: notice.event,
        title: words.title,
        body: firstBytes(words.text, MAX_BODY_BYTES),
        tag: about,
        url: words.link?.url ?? null,
        ...(notice.takesBack ? { takesBack: true } : {}),
      });
      const request = {
        url: endpoint,
        headers: {
          'content-type': 'application/octet-stream',
          'content-encoding': 'aes128gcm',
          ttl: String(waits ? expiresIn(notice, now) : DAY_S),
          urgency: waits ? 'high' : 'normal',
          topic: about,
          authorization: await (await deps.vapid()).authorization(new URL(endpoint), now),
        },
        body: encryptPush(Buffer.from(message), subscriber),
        signal,
      };
      const sent = await postSeen(deps, request, seen);
      const isGone = sent.ok && (sent.answer.status === 404 || sent.answer.status === 410);
      if (isGone) return { outcome: 'refused', reason: 'the browser has ended its subscription', gone: true };
      return deliveryOf(sent);
    };
  },
});
