import { z } from 'zod';
import { noticeWords } from '../words/words.ts';
import { bearer, defineKind, inCode, locale, postJson, typedUrl } from './kind.ts';

/** An Apprise API server, which passes on in Markdown. */
export const apprise = defineKind({
  settings: z.strictObject({ url: typedUrl, locale }),
  shown: ['locale'],
  open({ url, locale }, secret, deps) {
    const headers = bearer(secret);
    return (notice, signal, seen) => {
      const words = noticeWords(notice, locale, deps.clock.now(), (value) => inCode(value));
      const { title } = noticeWords(notice, locale, deps.clock.now());
      const body = [
        words.text,
        ...words.facts.map(([label, value]) => `**${label}:** ${value}`),
        ...(words.link === null ? [] : [`[${words.link.label}](${words.link.url})`]),
      ].join('\n\n');
      return postJson(deps, { url, headers, json: { title, body, format: 'markdown' }, signal, seen });
    };
  },
});
