import { createClient, type MessageBus } from 'dbus-native';

const NAME = 'org.freedesktop.Notifications';
const PATH = '/org/freedesktop/Notifications';

/** What a notification server was handed. */
export interface ShownNotification {
  app: string;
  replaces: number;
  icon: string;
  title: string;
  body: string;
  actions: string[];
  hints: Record<string, unknown>;
  timeoutMs: number;
}

/** Stands for the desktop's notifications on a session bus. For tests. */
export async function startNotificationServer(address: string, capabilities: readonly string[]) {
  const bus: MessageBus = createClient({ busAddress: address });
  /** What is shown now, by number. */
  const shown = new Map<number, ShownNotification>();
  /** When each came, in the order in which they did. */
  const log: { at: number; text: ShownNotification }[] = [];
  let last = 0;
  let isOpen = true;
  /** What is pressed in each as soon as it is shown. */
  let impatient: string | null = null;
  const signal = (member: string, signature: string, body: unknown[]) =>
    bus.sendSignal(PATH, NAME, member, signature, body);
  bus.exportInterface(
    {
      GetCapabilities() {
        return [...capabilities];
      },
      GetServerInformation() {
        return ['stand-in', 'tests', '1', '1.2'];
      },
      Notify(
        app: string,
        replaces: number,
        icon: string,
        title: string,
        body: string,
        actions: string[],
        hints: Record<string, unknown>,
        timeoutMs: number,
      ) {
        const number = replaces !== 0 && shown.has(replaces) ? replaces : ++last;
        const text = { app, replaces, icon, title, body, actions, hints, timeoutMs };
        shown.set(number, text);
        log.push({ at: Date.now(), text });
        const key = impatient;
        // Right after the reply, so that both may arrive as one.
        if (key !== null) setImmediate(() => signal('ActionInvoked', 'us', [number, key]));
        return number;
      },
      CloseNotification(number: number) {
        if (shown.delete(number)) signal('NotificationClosed', 'uu', [number, 3]);
        return null;
      },
    },
    PATH,
    {
      name: NAME,
      methods: {
        GetCapabilities: ['', 'as', [], ['capabilities']],
        GetServerInformation: ['', 'ssss', [], ['name', 'vendor', 'version', 'spec']],
        Notify: [
          'susssasa{sv}i',
          'u',
          ['app', 'replaces', 'icon', 'summary', 'body', 'actions', 'hints', 'timeout'],
          ['id'],
        ],
        CloseNotification: ['u', '', ['id'], []],
      },
      signals: { ActionInvoked: ['us', 'id', 'key'], NotificationClosed: ['uu', 'id', 'reason'] },
    },
  );
  await bus.requestName(NAME, 0);
  return {
    shown,
    log,
    /** The person presses a button, or the notification itself (`default`). */
    press: (number: number, key: string) => signal('ActionInvoked', 'us', [number, key]),
    /** From now on the person presses this in each notification as soon as it is there. */
    pressAtOnce(key: string) {
      impatient = key;
    },
    /** Counts anew: the next one gets the number after this. */
    countFrom(number: number) {
      last = number;
    },
    /** The person puts one away. */
    putAway(number: number) {
      shown.delete(number);
      signal('NotificationClosed', 'uu', [number, 2]);
    },
    signal,
    close(): void {
      if (isOpen) bus.connection.end();
      isOpen = false;
    },
  };
}
