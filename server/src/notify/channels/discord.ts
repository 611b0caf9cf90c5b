import { z } from 'zod';
import { noticeWords } from '../words/words.ts';
import { bearer, defineKind, inCode, locale, postJson, typedUrl } from './kind.ts';

const BLUE = 3447003;

/** A webhook of Discord. */
export const discord = defineKind({
  settings: z.strictObject({ url: typedUrl, locale }),
  shown: ['locale'],
  open({ url, locale }, secret, deps) {
    const headers = bearer(secret);
    return (notice, signal, seen) => {
      const words = noticeWords(notice, locale, deps.clock.now(), (value) => inCode(value));
      const embed = {
        title: words.title,
        description: words.text,
        color: BLUE,
        fields: words.facts.map(([name, value]) => ({ name, value, inline: true })),
        ...(words.link === null ? {} : { url: words.link.url }),
      };
      // Whatever stands in it calls nobody.
      return postJson(deps, { url, headers, json: { embeds: [embed], allowed_mentions: { parse: [] } }, signal, seen });
    };
  },
});
