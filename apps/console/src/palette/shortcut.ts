import { type Locale, t } from '#shared/messages.ts';

/** Macs have Cmd where others have Ctrl. */
const isMac = /^(Mac|iP)/.test(navigator.platform);

/** The shortcut of the palette as its keys are labelled where this language is typed. */
export const paletteKeys = (locale: Locale): string => (isMac ? '⌘K' : t('palette.ctrlK', {}, locale));
/** The same for `aria-keyshortcuts`. */
export const PALETTE_ARIA_KEYS = isMac ? 'Meta+K' : 'Control+K';

/** Ctrl+K, or Cmd+K on a Mac, where that deletes to the end of the line with Ctrl. */
export function isPaletteKey(event: KeyboardEvent): boolean {
  const { key, code, ctrlKey, metaKey, altKey, shiftKey } = event;
  const held = isMac ? metaKey && !ctrlKey : ctrlKey && !metaKey;
  if (!held || altKey || shiftKey) return false;
  // A layout without Latin letters has the key where others have their K.
  return key.toLowerCase() === 'k' || (code === 'KeyK' && !/^[a-z]$/i.test(key));
}
