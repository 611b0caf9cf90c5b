import { z } from 'zod';
import { noticeWords } from '../words/words.ts';
import { bearer, defineKind, locale, postJson, typedUrl } from './kind.ts';

/** ntfy takes more than this as a file. */
const MAX_MESSAGE_BYTES = 3500;

const URGENT = /^(break_glass_|revealed_|host_(quarantined|log_contradicted)|directory_change_held)/;

function priorityOf(event: string): number {
  if (URGENT.test(event)) return 5;
  return event === 'challenge_created' ? 4 : 3;
}

/** An emoji beside the title, by its short name. */
function tagOf(event: string): string {
  if (URGENT.test(event)) return 'rotating_light';
  const tags: Record<string, string> = {
    challenge_created: 'bell',
    challenge_approved: 'white_check_mark',
    challenge_rejected: 'no_entry',
    challenge_expired: 'hourglass',
  };
  return tags[event] ?? 'information_source';
}

/** The beginning of a text that has so many bytes at most, whole characters. */
export function firstBytes(text: string, most: number): string {
  if (Buffer.byteLength(text) <= most) return text;
  let size = 0;
  let out = '';
  for (const char of text) {
    size += Buffer.byteLength(char);
    if (size > most - 3) break;
    out += char;
  }
  return `${out}…`;
}

/** An ntfy server. JSON goes to its root, where the topic is a member of it: at the address of a topic it would be shown. */
export const ntfy = defineKind({
  settings: z.strictObject({ url: typedUrl, topic: z.string().regex(/^[-_A-Za-z0-9]{1,64}$/), locale }),
  shown: ['locale'],
  open({ url, topic, locale }, secret, deps) {
    const root = new URL('/', url);
    // `https://ntfy.example.com/topic` is what its pages show.
    if (root.href !== new URL(url).href)
      throw new Error('its address has a path: name the server, and the topic beside it');
    const headers = bearer(secret);
    return (notice, signal, seen) => {
      const words = noticeWords(notice, locale, deps.clock.now());
      const message = [words.text, ...words.facts.map(([label, value]) => `${label}: ${value}`)].join('\n');
      const json = {
        topic,
        title: words.title,
        message: firstBytes(message, MAX_MESSAGE_BYTES),
        priority: priorityOf(notice.event),
        tags: [tagOf(notice.event)],
        ...(words.link === null
          ? {}
          : { click: words.link.url, actions: [{ action: 'view', label: words.link.label, url: words.link.url }] }),
      };
      return postJson(deps, { url: root.href, headers, json, signal, seen });
    };
  },
});
