import type { MenuAction, MenuModel } from '../menu-model.ts';
import type {
  AutostartPort,
  CertificatesPort,
  HttpPort,
  IpcPort,
  IpcSender,
  NotificationText,
  OpenerPort,
  Question,
  SecretsPort,
  ShellPorts,
  ShellWindow,
  WindowSpec,
} from '../ports.ts';
import type { TrayModel } from '../tray-model.ts';
import { nodeHttp } from './fake-server.ts';

/** A keychain that turns bytes around: enough to see whether something went through it. */
export function fakeSecrets(options: { available?: boolean; fails?: boolean } = {}) {
  let available = options.available ?? true;
  const flip = (data: Buffer) => Buffer.from(data.map((byte) => byte ^ 0x5a));
  let ready: Promise<void> = Promise.resolve();
  const secrets: SecretsPort & { setAvailable(now: boolean): void; hold(): () => void } = {
    setAvailable(now) {
      available = now;
    },
    /** Answers nothing from now on, until what is given back is called. */
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      ready = promise;
      return resolve;
    },
    problem: () => ready.then(() => (available ? null : 'missing')),
    async encrypt(text) {
      await ready;
      if (options.fails) throw new Error('the keychain is locked');
      return flip(Buffer.from(`sealed${text}`));
    },
    async decrypt(data) {
      await ready;
      const text = flip(data).toString('utf8');
      if (!text.startsWith('sealed')) throw new Error('not sealed here');
      return text.slice('sealed'.length);
    },
  };
  return secrets;
}

export interface FakeWindow extends ShellWindow {
  spec: WindowSpec;
  sent: { channel: string; payload: unknown }[];
  isOpen: boolean;
  focused: number;
  /** The person closes it. */
  userCloses(): void;
  move(bounds: { x: number; y: number; width: number; height: number }): void;
}

/** A desktop without a screen: windows are lists of what happened to them. */
export function fakePorts(
  options: {
    opener?: OpenerPort;
    http?: HttpPort;
    certificates?: CertificatesPort;
    secrets?: SecretsPort;
    /** What the person says to a question; yes when not given. */
    answer?: (question: Question) => boolean | Promise<boolean>;
    /** What is in the file that the person chooses. */
    file?: () => string | null;
  } = {},
) {
  const windows: FakeWindow[] = [];
  const handlers = new Map<string, (request: Request) => Promise<Response>>();
  const listeners = new Map<string, Parameters<IpcPort['handle']>[1]>();
  const errors: string[] = [];
  const forgotten: string[] = [];
  const tray: { model: TrayModel | null; choose: (action: MenuAction) => void } = { model: null, choose: () => {} };
  const notes = {
    last: 0,
    /** What the desktop shows now, by number. */
    shown: new Map<number, NotificationText>(),
    acted: [] as ((number: number, key: string) => void)[],
    closed: [] as ((number: number) => void)[],
    /** The person, or any program of theirs, presses something. */
    press(number: number, key: string) {
      for (const listener of notes.acted) listener(number, key);
    },
    /** The person puts one away. */
    putAway(number: number) {
      notes.shown.delete(number);
      for (const listener of notes.closed) listener(number);
    },
  };
  const questions: Question[] = [];
  let startsAtLogin = false;
  const autostart: AutostartPort = {
    isOn: async () => startsAtLogin,
    async set(on) {
      startsAtLogin = on;
    },
  };
  const ended: string[] = [];
  const resumes: (() => void)[] = [];
  const menu: { model: MenuModel | null; choose: (action: MenuAction) => void } = { model: null, choose: () => {} };
  const clock = { at: 1_000_000, ran: 0, now: () => clock.at, elapsed: () => clock.ran };
  const ports: ShellPorts = {
    windows: {
      open(spec) {
        const closed: (() => void)[] = [];
        const moved: ((bounds: { x: number; y: number; width: number; height: number }) => void)[] = [];
        const end = () => {
          if (!window.isOpen) return;
          window.isOpen = false;
          for (const listener of closed) listener();
        };
        const window: FakeWindow = {
          id: windows.length + 1,
          spec,
          sent: [],
          isOpen: true,
          focused: 0,
          focus: () => {
            window.focused += 1;
          },
          close: end,
          userCloses: end,
          send: (channel, payload) => void window.sent.push({ channel, payload }),
          onBounds: (listener) => void moved.push(listener as (typeof moved)[number]),
          onClosed: (listener) => void closed.push(listener),
          move: (bounds) => {
            for (const listener of moved) listener(bounds);
          },
        };
        windows.push(window);
        return window;
      },
    },
    protocol: {
      serve: (partition, handler) => void handlers.set(partition, handler),
      forget: (partition) => void forgotten.push(partition),
    },
    ipc: { handle: (channel, listener) => void listeners.set(channel, listener) },
    opener: options.opener ?? { open: async () => true },
    secrets: options.secrets ?? fakeSecrets(),
    http: options.http ?? nodeHttp,
    certificates: options.certificates ?? { look: async () => null },
    notifier: { error: async (title) => void errors.push(title) },
    menu: {
      show(model, onAction) {
        menu.model = model;
        menu.choose = onAction;
      },
    },
    tray: {
      show(model, onAction) {
        tray.model = model;
        tray.choose = onAction;
      },
    },
    notifications: {
      async show(text) {
        if (text.replaces === 0 || !notes.shown.has(text.replaces)) notes.last += 1;
        const number = text.replaces || notes.last;
        notes.shown.set(number, text);
        return number;
      },
      async close(number) {
        notes.shown.delete(number);
        for (const listener of notes.closed) listener(number);
      },
      onAction: (listener) => void notes.acted.push(listener),
      onClosed: (listener) => void notes.closed.push(listener),
    },
    dialogs: {
      async ask(question) {
        questions.push(question);
        return (await options.answer?.(question)) ?? true;
      },
      openFile: async () => options.file?.() ?? null,
    },
    autostart,
    app: {
      quit: () => void ended.push('quit'),
      onResume: (listener) => void resumes.push(listener),
    },
    clock,
  };
  const current = () => {
    const open = windows.filter((window) => window.isOpen);
    if (open.length !== 1) throw new Error(`${open.length} windows are open`);
    return open[0]!;
  };
  return {
    ports,
    windows,
    errors,
    /** Partitions whose pages keep nothing any more. */
    forgotten,
    clock,
    current,
    /** The menu as it is shown. */
    menu,
    tray,
    notes,
    /** What the person was asked. */
    questions,
    /** What ended the program. */
    ended,
    /** The computer wakes up. */
    resume() {
      for (const listener of resumes) listener();
    },
    /** Whether the main process takes a message of this name, from whichever page. */
    hears: (channel: string) => listeners.has(channel),
    heard: () => [...listeners.keys()],
    /** A message of the page that is open, as its preload would send it. */
    send(channel: string, ...args: unknown[]) {
      const { id, spec } = current();
      const sender: IpcSender = { windowId: id, frame: { url: `app://${spec.kind}/`, isMain: true } };
      return listeners.get(channel)!(sender, args);
    },
    /** A request of the page that is open. */
    fetch(path: string, init: RequestInit = {}) {
      const { spec } = current();
      return handlers.get(spec.partition)!(new Request(`app://${spec.kind}${path}`, init));
    },
  };
}
