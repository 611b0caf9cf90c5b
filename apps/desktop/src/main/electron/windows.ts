import { join } from 'node:path';
import { app, BrowserWindow, nativeTheme, screen } from 'electron';
import { FACTS_ARGUMENT } from '../../channels.ts';
import type { Bounds } from '../bounds.ts';
import { WEB_PREFERENCES } from '../guard-contents.ts';
import type { ShellWindow, WindowSpec, WindowsPort } from '../ports.ts';

const SIZES = {
  console: { width: 1180, height: 780, minWidth: 420, minHeight: 480 },
  // A certificate and what can be said to it, without scrolling.
  setup: { width: 520, height: 840, minWidth: 400, minHeight: 480 },
} as const;

const BOUNDS_SETTLE_MS = 500;
const RELOAD_INTERVAL_MS = 60_000;

let ending = false;
app.on('before-quit', () => {
  ending = true;
});

/** Windows of the real desktop. The folder holds the preloads, single files `preload-<kind>.cjs`, and `icon.png`. */
export function electronWindows(preloads: string): WindowsPort {
  return {
    open(spec) {
      const window = new BrowserWindow({
        ...sizeOf(spec.kind),
        ...onScreen(spec.bounds),
        show: false,
        title: titled('identree', spec.name),
        // Some desktops show what the window brings along, which else is nobody's; the others follow the desktop file.
        icon: join(preloads, 'icon.png'),
        // What is there before the first frame: without it a dark desktop flashes white.
        backgroundColor: nativeTheme.shouldUseDarkColors ? '#0e1015' : '#f7f8fa',
        webPreferences: {
          ...WEB_PREFERENCES,
          partition: spec.partition,
          preload: join(preloads, `preload-${spec.kind}.cjs`),
          additionalArguments: [FACTS_ARGUMENT + encodeURIComponent(JSON.stringify(spec.facts))],
        },
      });
      window.on('page-title-updated', (event, title) => {
        event.preventDefault();
        window.setTitle(titled(title, spec.name));
      });
      // A window that another one has taken the place of in the meantime is told so as well, and is gone.
      window.once('ready-to-show', () => {
        if (!window.isDestroyed()) window.show();
      });
      window.webContents.setWebRTCIPHandlingPolicy('disable_non_proxied_udp');
      reloadAfterCrash(window);
      void window.loadURL(`app://${spec.kind}/`);
      return adapt(window);
    },
  };
}

function sizeOf(kind: WindowSpec['kind']) {
  const size = SIZES[kind];
  return {
    ...size,
    height: Math.max(size.minHeight, Math.min(size.height, screen.getPrimaryDisplay().workArea.height)),
  };
}

/** Which server it is comes first: the end of a title is what task bars cut off. */
const titled = (title: string, name: string | null) => (name === null ? title : `${name} · ${title}`);

function adapt(window: BrowserWindow): ShellWindow {
  const { id } = window.webContents;
  return {
    id,
    focus() {
      if (window.isDestroyed()) return;
      if (window.isMinimized()) window.restore();
      window.show();
      window.focus();
    },
    close: () => window.destroy(),
    send(channel, payload) {
      if (!window.isDestroyed()) window.webContents.send(channel, payload);
    },
    onBounds(listener) {
      let timer: NodeJS.Timeout | undefined;
      const changed = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          if (!window.isDestroyed()) listener(window.getNormalBounds());
        }, BOUNDS_SETTLE_MS);
      };
      window.on('resize', changed);
      window.on('move', changed);
      // The last word: a move right before the end must not be lost.
      window.on('close', () => listener(window.getNormalBounds()));
    },
    onClosed(listener) {
      window.once('closed', () => {
        if (!ending) listener();
      });
    },
  };
}

/** Remembered bounds, but never on a screen that is no longer there. */
function onScreen(bounds: Bounds | null): Partial<Bounds> {
  if (!bounds) return {};
  const { x, y, width, height } = bounds;
  if (x === undefined || y === undefined) return { width, height };
  const area = screen.getDisplayMatching({ x, y, width, height }).workArea;
  const visible =
    x < area.x + area.width - 50 && x + width > area.x + 50 && y >= area.y - 10 && y < area.y + area.height - 50;
  return visible
    ? { x, y, width, height }
    : { width: Math.min(width, area.width), height: Math.min(height, area.height) };
}

function reloadAfterCrash(window: BrowserWindow): void {
  let last = Number.NEGATIVE_INFINITY;
  window.webContents.on('render-process-gone', (_event, { reason }) => {
    const now = performance.now();
    if (reason === 'clean-exit' || window.isDestroyed() || now - last < RELOAD_INTERVAL_MS) return;
    last = now;
    window.webContents.reload();
  });
}
