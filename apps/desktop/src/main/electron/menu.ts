import { Menu, type MenuItemConstructorOptions, type NativeImage, nativeImage } from 'electron';
import { COLOUR_VALUES, type Colour } from '../../colours.ts';
import { type MenuAction, type MenuEntry, type MenuModel, ROLES, type Role } from '../menu-model.ts';
import type { MenuPort } from '../ports.ts';

/** The menu: what a person needs and nothing for developers, whose tools would open the console's insides. */
export const electronMenu: MenuPort = {
  show(menu, onAction) {
    Menu.setApplicationMenu(
      Menu.buildFromTemplate([
        { label: 'identree', submenu: templateOf(menu.app, onAction) },
        { label: menu.servers.label, submenu: templateOf(menu.servers.entries, onAction) },
        { label: menu.names.edit, submenu: rolesOf(ROLES.edit, menu.names) },
        { label: menu.names.view, submenu: rolesOf(ROLES.view, menu.names) },
      ]),
    );
  },
};

const ELECTRON_ROLES: Record<Role, MenuItemConstructorOptions['role']> = {
  undo: 'undo',
  redo: 'redo',
  cut: 'cut',
  copy: 'copy',
  paste: 'paste',
  selectAll: 'selectAll',
  reload: 'reload',
  actualSize: 'resetZoom',
  zoomIn: 'zoomIn',
  zoomOut: 'zoomOut',
  fullScreen: 'togglefullscreen',
};

/** Electron does these, and names them in English unless it is told how. */
const rolesOf = (roles: readonly (Role | null)[], names: MenuModel['names']): MenuItemConstructorOptions[] =>
  roles.map((role) => (role === null ? { type: 'separator' } : { role: ELECTRON_ROLES[role]!, label: names[role] }));

/** Electron's form of our entries. */
export function templateOf(
  entries: readonly MenuEntry[],
  onAction: (action: MenuAction) => void,
): MenuItemConstructorOptions[] {
  return entries.map((entry) => {
    if (entry === 'line') return { type: 'separator' };
    const { action } = entry;
    return {
      // A single & would be taken for the mark of a shortcut.
      label: entry.label.replaceAll('&', '&&'),
      enabled: action !== undefined && !entry.disabled,
      ...(action
        ? {
            click: (item) => {
              // Electron ticks what is pressed; whether it is so is for the next menu to say.
              if (entry.chosen !== undefined) item.checked = entry.chosen;
              onAction(action);
            },
          }
        : {}),
      ...(entry.chosen === undefined ? {} : { type: 'checkbox' as const, checked: entry.chosen }),
      ...(entry.colour ? { icon: dot(entry.colour) } : {}),
      ...(entry.shortcut ? { accelerator: entry.shortcut } : {}),
    };
  });
}

const DOT = 12;

/** A filled circle, drawn dot by dot: Electron reads no SVG. */
function dot(colour: Colour): NativeImage {
  const value = Number.parseInt(COLOUR_VALUES[colour].slice(1), 16);
  const pixels = Buffer.alloc(DOT * DOT * 4);
  for (let y = 0; y < DOT; y++) {
    for (let x = 0; x < DOT; x++) {
      const edge = DOT / 2 - Math.hypot(x + 0.5 - DOT / 2, y + 0.5 - DOT / 2);
      const alpha = Math.max(0, Math.min(1, edge));
      const channels = [value & 255, (value >> 8) & 255, value >> 16].map((one) => Math.round(one * alpha));
      pixels.set([...channels, Math.round(255 * alpha)], (y * DOT + x) * 4);
    }
  }
  return nativeImage.createFromBitmap(pixels, { width: DOT, height: DOT });
}
