import { z } from 'zod';
import { noticeWords } from '../words/words.ts';
import { bearer, defineKind, inCode, locale, postJson, typedUrl } from './kind.ts';

/** The three characters with which Slack begins mentions and links. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** An incoming webhook of Slack, or of what speaks like it (Mattermost, Rocket.Chat). */
export const slack = defineKind({
  settings: z.strictObject({ url: typedUrl, locale }),
  shown: ['locale'],
  open({ url, locale }, secret, deps) {
    const headers = bearer(secret);
    return (notice, signal, seen) => {
      const words = noticeWords(notice, locale, deps.clock.now(), (value) => inCode(value, escaped));
      const lines = [
        `*${words.title}*`,
        words.text,
        words.facts.map(([label, value]) => `${label}: ${value}`).join(' | '),
        words.link === null ? '' : `<${escaped(words.link.url)}|${words.link.label}>`,
      ];
      const json = { text: lines.filter((line) => line !== '').join('\n'), unfurl_links: false, unfurl_media: false };
      return postJson(deps, { url, headers, json, signal, seen });
    };
  },
});
