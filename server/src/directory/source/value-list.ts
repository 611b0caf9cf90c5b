import { MAX_CLAIM_LENGTH } from './model.ts';

const MAX_ITEMS = 500;

/**
 * Splits a claim into values: a JSON array when it starts with `[`, else separated by commas, with `\,` for a comma that
 * belongs to a value (commands have arguments with commas). Trims, drops empty ones.
 *
 * @returns null when it cannot be read as a whole: too long, too many, broken JSON. A list that is cut would mean
 * something else than what was written.
 */
export function splitValues(text: string): string[] | null {
  if (text.length > MAX_CLAIM_LENGTH) return null;
  let values: string[];
  if (text.trimStart().startsWith('[')) {
    try {
      const json: unknown = JSON.parse(text);
      if (!Array.isArray(json) || !json.every((item) => typeof item === 'string')) return null;
      values = json as string[];
    } catch {
      return null;
    }
  } else {
    values = (text.match(/(?:\\,|[^,])+/gs) ?? []).map((part) => part.replaceAll('\\,', ','));
  }
  const kept = values.map(trimBlanks).filter((value) => value !== '');
  return kept.length > MAX_ITEMS ? null : [...new Set(kept)];
}

// Blanks only: a trailing line feed is a control character that the value rules must see and refuse.
function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}
