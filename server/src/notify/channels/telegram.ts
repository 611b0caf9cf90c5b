import { z } from 'zod';
import { noticeWords } from '../words/words.ts';
import { defineKind, deliveryOf, escapeHtml, locale, postSeen, typedUrl } from './kind.ts';

const saysWhen = z.looseObject({ parameters: z.looseObject({ retry_after: z.number().min(0).max(86_400) }) });

/** When Telegram wants to be asked again, milliseconds: it says so in its answer and in no header. */
function retryIn(body: string): number | null {
  try {
    return saysWhen.parse(JSON.parse(body)).parameters.retry_after * 1000;
  } catch {
    return null;
  }
}

/** A bot of Telegram. Its token is in the path of every request, so the address is told to nobody. */
export const telegram = defineKind({
  settings: z.strictObject({
    chatId: z.union([z.int(), z.string().regex(/^(-?[0-9]{1,20}|@[A-Za-z0-9_]{5,32})$/)]),
    /** A Bot API server of one's own. */
    url: typedUrl.default('https://api.telegram.org'),
    locale,
  }),
  shown: ['chatId', 'locale'],
  needs: 'token',
  open({ chatId, url, locale }, { token }, deps) {
    if (!/^[0-9]{1,20}:[A-Za-z0-9_-]{1,100}$/.test(token ?? '')) throw new Error('its token is not one of a bot');
    return async (notice, signal, seen) => {
      const words = noticeWords(notice, locale, deps.clock.now(), (value) => `<code>${escapeHtml(value)}</code>`);
      const lines = [`<b>${words.title}</b>`, words.text, ...words.facts.map(([label, value]) => `${label}: ${value}`)];
      const body = JSON.stringify({
        chat_id: chatId,
        text: lines.join('\n'),
        parse_mode: 'HTML',
        link_preview_options: { is_disabled: true },
        ...(words.link === null
          ? {}
          : { reply_markup: { inline_keyboard: [[{ text: words.link.label, url: words.link.url }]] } }),
      });
      const address = `${url.replace(/\/+$/, '')}/bot${token}/sendMessage`;
      const sent = await postSeen(deps, { url: address, headers: {}, body, signal }, seen);
      return deliveryOf(sent, sent.ok ? retryIn(sent.answer.body) : null);
    };
  },
});
