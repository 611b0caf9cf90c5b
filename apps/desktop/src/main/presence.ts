import type { Words } from '../words/catalogue.ts';
import type { JsonFile } from './json-file.ts';
import type { MenuAction, Toggle } from './menu-model.ts';
import type { ShellPorts } from './ports.ts';
import type { ServerView } from './server-view.ts';
import { FIRST_SETTINGS, type Settings } from './settings.ts';
import { trayModel } from './tray-model.ts';

const PAUSE_MS = 60 * 60 * 1000;

/** That the shell is there without its window: tray, what happens at a close, start at login, and what it may say. */
export function createPresence(deps: {
  ports: Pick<ShellPorts, 'tray' | 'dialogs' | 'app' | 'autostart' | 'clock'>;
  file: JsonFile<Settings>;
  words: Words;
  language: string;
  onAction: (action: MenuAction) => void;
  /** Something that is shown has changed. */
  onChange: () => void;
  /** What the person switched could not be written: it is as before at the next start. */
  onNotSaved: () => void;
  /** What the person had settled lies there and cannot be read. */
  onUnreadable: (path: string) => void;
}) {
  const { ports, words } = deps;
  let settings = FIRST_SETTINGS;
  let autostart: boolean | null = null;
  let pausedUntil: number | null = null;
  let pauseEnd: NodeJS.Timeout | undefined;
  let asking = false;

  const isPaused = () => pausedUntil !== null && pausedUntil > ports.clock.now();

  async function settle(change: Partial<Settings>): Promise<void> {
    settings = { ...settings, ...change };
    deps.onChange();
    await deps.file.write(settings).catch(deps.onNotSaved);
  }

  function resume(): void {
    clearTimeout(pauseEnd);
    pausedUntil = null;
    deps.onChange();
  }

  return {
    async load(): Promise<void> {
      const stored = await deps.file.read();
      const unreadable = deps.file.unreadable();
      // Whoever had commands hidden must not see them told because of a damaged file.
      settings = stored ?? { ...FIRST_SETTINGS, hideCommand: unreadable !== null };
      if (unreadable !== null) deps.onUnreadable(unreadable);
      autostart = (await ports.autostart?.isOn().catch(() => false)) ?? null;
    },
    show(views: readonly ServerView[]): void {
      const time = new Intl.DateTimeFormat(deps.language, { hour: '2-digit', minute: '2-digit' });
      const until = isPaused() ? time.format(pausedUntil!) : null;
      ports.tray.show(trayModel(words, views, until), deps.onAction);
    },
    isPaused,
    hidesCommand: (): boolean => settings.hideCommand,
    /** What can be switched, and how it is; without what this desktop does not have. */
    toggles: (): { toggle: Toggle; on: boolean }[] => [
      { toggle: 'background', on: settings.background === true },
      ...(autostart === null ? [] : [{ toggle: 'autostart' as const, on: autostart }]),
      { toggle: 'hideCommand', on: settings.hideCommand },
    ],
    async toggle(toggle: Toggle): Promise<void> {
      if (toggle === 'background') return settle({ background: settings.background !== true });
      if (toggle === 'hideCommand') return settle({ hideCommand: !settings.hideCommand });
      if (!ports.autostart) return;
      // A start at login is without a window: what would end with its window has no place there.
      if (!autostart && settings.background !== true) await settle({ background: true });
      await ports.autostart.set(!autostart).catch(deps.onNotSaved);
      autostart = await ports.autostart.isOn().catch(() => false);
      deps.onChange();
    },
    pause(): void {
      pausedUntil = ports.clock.now() + PAUSE_MS;
      clearTimeout(pauseEnd);
      // By whichever clock says so first: one that was set back must not make a day of the hour, and a timer does not
      // run while the computer sleeps.
      pauseEnd = setTimeout(resume, PAUSE_MS);
      pauseEnd.unref();
      deps.onChange();
    },
    resume,
    /** The person closed the window. The first time they are asked what that means. */
    async closed(signedIn: boolean): Promise<void> {
      if (asking) return;
      if (settings.background === null && signedIn) {
        asking = true;
        const { question, detail, yes, no } = words.close;
        const stay = await ports.dialogs.ask({ question, detail, yes, no, usual: 'yes' }).finally(() => {
          asking = false;
        });
        await settle({ background: stay });
      }
      if (!settings.background) ports.app.quit();
    },
  };
}
