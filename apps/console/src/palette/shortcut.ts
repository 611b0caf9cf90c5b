/** Macs have Cmd where others have Ctrl. */
const isMac = /^(Mac|iP)/.test(navigator.platform);

/** The shortcut of the palette as keys are named here. */
export const PALETTE_KEYS = isMac ? '⌘K' : 'Ctrl K';
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
