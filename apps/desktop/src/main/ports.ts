import type { KeychainProblem } from '../setup-state.ts';
import type { Bounds } from './bounds.ts';
import type { ExternalLink } from './external-link.ts';
import type { MenuAction, MenuModel } from './menu-model.ts';
import type { TrayModel } from './tray-model.ts';

/** The outside world as the shell sees it. Adapters are in `electron/`; tests hand in their own. */
export interface ShellPorts {
  windows: WindowsPort;
  protocol: ProtocolPort;
  ipc: IpcPort;
  opener: OpenerPort;
  secrets: SecretsPort;
  http: HttpPort;
  certificates: CertificatesPort;
  notifier: NotifierPort;
  menu: MenuPort;
  tray: TrayPort;
  notifications: NotificationsPort;
  dialogs: DialogsPort;
  /** Null where there is no such thing. */
  autostart: AutostartPort | null;
  app: AppPort;
  clock: {
    /** Milliseconds since the Unix epoch. */
    now(): number;
    /** Milliseconds on a clock that nobody sets: how much time passed between two looks at it. */
    elapsed(): number;
  };
}

/** Outbound HTTP from the main process: no cookies, no cache, and a redirect is an error or a 3xx answer, never followed. */
export interface HttpPort {
  fetch(url: string, init: HttpInit): Promise<Response>;
}

export interface HttpInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

/** What a server shows of itself before anything is sent to it. */
export interface CertificatesPort {
  /**
   * @param pin the only certificate, PEM, that is to vouch for the server; null for none
   * @returns the server's certificate, PEM, and whether `pin` vouches for it under the server's name and now; null when
   * nothing answered
   */
  look(origin: string, pin: string | null): Promise<{ pem: string; isVouchedFor: boolean } | null>;
}

/** Hands a page of the profile's server to the desktop's own browser. */
export interface OpenerPort {
  /** @returns false when the address was refused or no browser could be started. */
  open(origin: string, link: ExternalLink): Promise<boolean>;
}

/** The operating system's keychain. */
export interface SecretsPort {
  /** Why nothing can be kept in it; null when it can. One that would keep secrets in clear is none. */
  problem(): Promise<KeychainProblem | null>;
  encrypt(text: string): Promise<Buffer>;
  /** @throws when it was encrypted by another user or the keychain was reset. */
  decrypt(data: Buffer): Promise<string>;
}

/** The shell's two kinds of window. They share nothing: own preload, own origin, own storage. */
export type WindowKind = 'setup' | 'console';

export interface WindowSpec {
  kind: WindowKind;
  /** Storage partition; a name that starts with `persist:` outlives the process. */
  partition: string;
  /** Handed to the preload before any page script runs. Never a secret. */
  facts: Record<string, unknown>;
  bounds: Bounds | null;
  /** Stands before the title of the page; null when there is only one server. */
  name: string | null;
}

export interface ShellWindow {
  /** Identifies the window in messages from it. */
  id: number;
  /** Shows and raises it. */
  focus(): void;
  close(): void;
  send(channel: string, payload: unknown): void;
  onBounds(listener: (bounds: Bounds) => void): void;
  /** The window is gone. Not called when all of them close because the program ends. */
  onClosed(listener: () => void): void;
}

export interface WindowsPort {
  open(spec: WindowSpec): ShellWindow;
}

/** Serves `app://` in one partition. */
export interface ProtocolPort {
  serve(partition: string, handler: (request: Request) => Promise<Response>): void;
  /** Throws away what the pages of a partition kept. */
  forget(partition: string): void;
}

/** Who sent a message, as the browser process knows it; nothing in it is the renderer's word. */
export interface IpcSender {
  windowId: number;
  /** Null when the frame is gone. */
  frame: { url: string; isMain: boolean } | null;
}

export interface IpcPort {
  handle(channel: string, listener: (sender: IpcSender, args: readonly unknown[]) => Promise<unknown>): void;
}

/** Messages that must not wait for a page. */
export interface NotifierPort {
  /** Comes back once the person has read it. The program goes on meanwhile. */
  error(title: string, text: string): Promise<void>;
}

/** The menu of the window. */
export interface MenuPort {
  show(menu: MenuModel, onAction: (action: MenuAction) => void): void;
}

/** The icon among those of other programs. Where the desktop has no place for it, nothing is seen and nothing fails. */
export interface TrayPort {
  show(tray: TrayModel, onAction: (action: MenuAction) => void): void;
}

export interface NotificationText {
  /** Number of the one whose place it takes; 0 for a new one. */
  replaces: number;
  title: string;
  /** Plain text; the adapter makes it safe for desktops that read markup in it. */
  body: string;
  /** Key and label. `default` is the click on the notification itself. */
  actions: readonly (readonly [key: string, label: string])[];
  /** When it goes by itself, milliseconds; 0 for never. */
  timeoutMs: number;
}

/** The desktop's notifications. Everything rejects where there are none. */
export interface NotificationsPort {
  /** @returns the number by which the desktop knows it. */
  show(text: NotificationText): Promise<number>;
  close(number: number): Promise<void>;
  onAction(listener: (number: number, key: string) => void): void;
  /** It is gone: its time was over, the person put it away, or it was closed. */
  onClosed(listener: (number: number) => void): void;
}

/** A question that the desktop asks beside the window. */
export interface Question {
  question: string;
  detail: string;
  yes: string;
  no: string;
  /** What Return answers. */
  usual: 'yes' | 'no';
}

export interface DialogsPort {
  /** @returns true for yes; closing the question is no. */
  ask(text: Question): Promise<boolean>;
  /** @returns the text of a small file that the person chose; null when they chose none, or one that cannot be read. */
  openFile(text: { title: string; kind: string; extensions: readonly string[] }): Promise<string | null>;
}

/** Whether the shell starts when the person logs in. */
export interface AutostartPort {
  isOn(): Promise<boolean>;
  set(on: boolean): Promise<void>;
}

/** The program as a whole. */
export interface AppPort {
  /** Ends it; windows close without being asked. */
  quit(): void;
  /** The computer slept and is awake again. */
  onResume(listener: () => void): void;
}
