import { Menu } from 'electron';

export interface MenuActions {
  signOut(): Promise<void>;
  changeServer(): Promise<void>;
}

/** The menu: what a person needs and nothing for developers, whose tools would open the console's insides. */
export function showMenu(actions: MenuActions): void {
  Menu.setApplicationMenu(
    Menu.buildFromTemplate([
      {
        label: 'identree',
        submenu: [
          { label: 'Change server…', click: () => void actions.changeServer() },
          { label: 'Sign out', click: () => void actions.signOut() },
          { type: 'separator' },
          { role: 'quit', label: 'Quit' },
        ],
      },
      { role: 'editMenu' },
      {
        label: 'View',
        submenu: [
          { role: 'reload' },
          { type: 'separator' },
          { role: 'resetZoom' },
          { role: 'zoomIn' },
          { role: 'zoomOut' },
          { type: 'separator' },
          { role: 'togglefullscreen' },
        ],
      },
    ]),
  );
}
