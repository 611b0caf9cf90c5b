import { z } from 'zod';
import { visibleText } from '#shared/visible-text.ts';
import { noticeWords } from '../words/words.ts';
import { bearer, defineKind, deliveryOf, expiresIn, locale, postSeen, typedUrl, wholeSeconds } from './kind.ts';
import { signedHeaders, signingKey } from './standard-webhook.ts';

/**
 * A receiver of one's own. The token holds words with blanks between: a bearer token, and `whsec_…` keys that sign, two
 * of them while one replaces the other.
 */
export const webhook = defineKind({
  settings: z.strictObject({ url: typedUrl, locale }),
  shown: ['locale'],
  open({ url, locale }, { token }, deps) {
    const words = (token ?? '').split(/\s+/).filter((word) => word !== '');
    const keys = words.filter((word) => word.startsWith('whsec_')).map((word) => signingKey(word));
    const tokens = words.filter((word) => !word.startsWith('whsec_'));
    if (keys.includes(null)) throw new Error('its whsec_ key is not 24 to 64 bytes in base64');
    if (tokens.length > 1) throw new Error('its token holds more than one word that is no whsec_ key');
    const authorization = bearer({ token: tokens[0] ?? null, command: null });
    return async (notice, signal, seen) => {
      const now = deps.clock.now();
      const { event, username, hostname, request, reason, actor } = notice;
      const { title, text } = noticeWords(notice, locale, now);
      const body = JSON.stringify({
        event,
        title,
        message: text,
        username: visibleText(username),
        hostname: visibleText(hostname),
        ...(event === 'test'
          ? {}
          : {
              user_code: request?.userCode ?? '',
              approval_url: request?.approvalUrl ?? '',
              onetap_url: request?.onetapUrl ?? '',
              expires_in: expiresIn(notice, now),
            }),
        timestamp: wholeSeconds(notice.at),
        ...(reason === null || event === 'test' ? {} : { reason: visibleText(reason) }),
        ...(actor === null ? {} : { actor: visibleText(actor) }),
        ...(request?.command == null ? {} : { command: visibleText(request.command) }),
        ...(notice.folded === 0 ? {} : { folded: notice.folded }),
      });
      const signed = signedHeaders(keys as Buffer[], { id: notice.id, at: now, body });
      return deliveryOf(await postSeen(deps, { url, headers: { ...signed, ...authorization }, body, signal }, seen));
    };
  },
});
