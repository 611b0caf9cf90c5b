import type { Bounds } from './bounds.ts';
import type { JsonFile } from './json-file.ts';
import type { ShellWindow, WindowKind, WindowSpec, WindowsPort } from './ports.ts';
import { EVERY_SERVER, type StoredBounds } from './profile.ts';

export type Window = ReturnType<typeof createWindow>;

/** The one window of the shell, and where it was for each server. */
export function createWindow(deps: {
  windows: WindowsPort;
  bounds: JsonFile<StoredBounds>;
  /** The person closed it. */
  onClosed: () => void;
}) {
  let open: { window: ShellWindow; kind: WindowKind; onGone: () => void } | null = null;
  let listening = false;
  let bounds: Record<string, Bounds> = {};

  return {
    async load(): Promise<void> {
      bounds = (await deps.bounds.read())?.windows ?? {};
    },
    kind: (): WindowKind | null => open?.kind ?? null,
    current: () => open && { id: open.window.id, kind: open.kind },
    /**
     * Replaces the window. The new one is there before the old one goes, or the shell would end with its last window.
     *
     * @param server whose console it shows, and what ends with it
     */
    show(spec: Omit<WindowSpec, 'bounds'>, server?: { origin: string; onGone: () => void }): void {
      const previous = open;
      previous?.onGone();
      listening = false;
      const kept = server ? (bounds[server.origin] ?? bounds[EVERY_SERVER] ?? null) : null;
      const window = deps.windows.open({ ...spec, bounds: kept });
      open = { window, kind: spec.kind, onGone: server?.onGone ?? (() => {}) };
      if (server) {
        window.onBounds((next) => {
          bounds = { ...bounds, [server.origin]: next };
          void deps.bounds.write({ v: 2, windows: bounds }).catch(() => {});
        });
      }
      window.onClosed(() => {
        if (open?.window !== window) return;
        open.onGone();
        open = null;
        deps.onClosed();
      });
      previous?.window.close();
    },
    /** Where it was for a server that is removed. The window shows something else by then. */
    forget(origin: string): void {
      const { [origin]: _forgotten, ...others } = bounds;
      bounds = others;
      void deps.bounds.write({ v: 2, windows: bounds }).catch(() => {});
    },
    send(channel: string, payload: unknown): void {
      open?.window.send(channel, payload);
    },
    focus(): void {
      open?.window.focus();
    },
    /** The page says that it listens for links. */
    listens(): void {
      listening = true;
    },
    isListening: (): boolean => listening,
  };
}
