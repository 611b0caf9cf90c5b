import { join } from 'node:path';
import { Menu, nativeImage, Tray } from 'electron';
import type { TrayPort } from '../ports.ts';
import { templateOf } from './menu.ts';

/** Drawn up to nine; more than that is `9+`. */
const MOST = 9;

/** @param pictures folder with `0.png` to `9.png` and `more.png` */
export function electronTray(pictures: string): TrayPort {
  let tray: Tray | null = null;
  return {
    show(model, onAction) {
      const name = model.count > MOST ? 'more' : String(model.count);
      const image = nativeImage.createFromPath(join(pictures, `${name}.png`));
      if (tray) tray.setImage(image);
      else {
        tray = new Tray(image);
        tray.on('click', () => onAction({ do: 'raise' }));
      }
      tray.setToolTip(model.tooltip);
      tray.setContextMenu(Menu.buildFromTemplate(templateOf(model.entries, onAction)));
    },
  };
}
