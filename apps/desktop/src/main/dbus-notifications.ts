import { createClient, type Message, type MessageBus } from 'dbus-native';
import type { NotificationsPort, NotificationText } from './ports.ts';

const NAME = 'org.freedesktop.Notifications';
const PATH = '/org/freedesktop/Notifications';
const BUS = 'org.freedesktop.DBus';
const CALL_MS = 3000;
/** The largest message that is read, bytes. Ours and the answers to them are small. */
const MOST_BYTES = 256 * 1024;
/** How long a desktop that refused is not asked again, milliseconds. */
const AGAIN_AFTER_MS = 30_000;

interface Connection {
  bus: MessageBus;
  /** Unique name of who shows notifications: signals of anybody else are not believed. */
  server: string;
  capabilities: ReadonlySet<string>;
}

/**
 * Notifications over the session bus (Desktop Notifications Specification 1.2). Electron's own do not pass actions on
 * under Linux.
 *
 * @param address of the session bus; undefined when the desktop has none
 */
export function dbusNotifications(options: {
  address: string | undefined;
  /** Id of the desktop file. */
  id: string;
  /** Milliseconds on a clock that nobody sets. */
  elapsed: () => number;
}): NotificationsPort & { end(): void } {
  const onAction: ((number: number, key: string) => void)[] = [];
  const onClosed: ((number: number) => void)[] = [];
  let connection: Promise<Connection> | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;
  /** The buttons of what is shown, by its number. */
  const shown = new Map<number, ReadonlySet<string>>();

  function gone(number: number): void {
    if (!shown.delete(number)) return;
    for (const listener of onClosed) listener(number);
  }

  function connect(): Promise<Connection> {
    if (connection) return connection;
    if (!options.address || options.elapsed() - failedAt < AGAIN_AFTER_MS)
      return Promise.reject(new Error('no desktop'));
    const bus = createClient({ busAddress: options.address, maxMessageSize: MOST_BYTES, timeout: CALL_MS });
    const lost = () => {
      if (connection !== mine) return;
      connection = null;
      // Whoever shows notifications from here on counts anew: its third is not the third that was shown before.
      for (const number of [...shown.keys()]) gone(number);
    };
    bus.connection.on('error', lost);
    bus.connection.on('close', lost);
    const mine = open(bus, lost).catch((error: unknown) => {
      failedAt = options.elapsed();
      if (connection === mine) connection = null;
      bus.connection.end();
      throw error;
    });
    connection = mine;
    return mine;
  }

  async function open(bus: MessageBus, lost: () => void): Promise<Connection> {
    let server: string | null = null;
    bus.connection.on('message', ({ sender, interface: of, path, member, body = [] }: Message) => {
      if (sender === BUS && of === BUS && member === 'NameOwnerChanged' && body[0] === NAME) {
        if (server === null || body[2] === server) return;
        lost();
        bus.connection.end();
      }
      if (of !== NAME || path !== PATH || server === null || sender !== server) return;
      const [number, key] = body;
      if (typeof number !== 'number') return;
      // In the next turn: who asked for a notification learns its number from a reply, which may have come in the
      // same packet, before this. A Deny that was pressed at once would be nobody's.
      setImmediate(() => {
        if (member === 'ActionInvoked' && typeof key === 'string' && shown.get(number)?.has(key)) {
          for (const listener of onAction) listener(number, key);
        }
        if (member === 'NotificationClosed') gone(number);
      });
    });
    await bus.addMatch(`type='signal',sender='${BUS}',interface='${BUS}',member='NameOwnerChanged',arg0='${NAME}'`);
    // The first call starts the program that shows notifications, where it is not running yet.
    const capabilities = await call<unknown>(bus, 'GetCapabilities');
    server = await ownerOf(bus);
    await bus.addMatch(`type='signal',sender='${NAME}',interface='${NAME}'`);
    const list = Array.isArray(capabilities) ? capabilities : [];
    return { bus, server, capabilities: new Set(list.filter((one): one is string => typeof one === 'string')) };
  }

  async function show(text: NotificationText): Promise<number> {
    const { bus, capabilities } = await connect();
    const body = capabilities.has('body-markup') ? escapeMarkup(text.body) : text.body;
    const actions = capabilities.has('actions') ? text.actions.flat() : [];
    const hints = [
      ['urgency', ['y', 1]],
      ['desktop-entry', ['s', options.id]],
    ];
    // What the person would have answered too late is no news any more.
    const number = await call<unknown>(bus, 'Notify', 'susssasa{sv}i', [
      'identree',
      text.replaces,
      options.id,
      text.title,
      body,
      actions,
      hints,
      Math.min(text.timeoutMs, 0x7fff_ffff),
    ]);
    if (typeof number !== 'number') throw new TypeError('a notification without a number');
    // A number that is given once more stands for what is shown now.
    if (number !== text.replaces) gone(number);
    shown.set(number, new Set(actions.filter((_, at) => at % 2 === 0)));
    return number;
  }

  return {
    show,
    async close(number) {
      const { bus } = await connect();
      shown.delete(number);
      // It may be gone already.
      await call(bus, 'CloseNotification', 'u', [number]).catch(() => {});
    },
    onAction: (listener) => void onAction.push(listener),
    onClosed: (listener) => void onClosed.push(listener),
    end() {
      void connection?.then(({ bus }) => bus.connection.end()).catch(() => {});
    },
  };
}

async function call<T>(bus: MessageBus, member: string, signature = '', body: unknown[] = []): Promise<T> {
  const message = { destination: NAME, path: PATH, interface: NAME, member };
  return await bus.invoke<T>(signature === '' ? message : { ...message, signature, body });
}

async function ownerOf(bus: MessageBus): Promise<string> {
  const owner = await bus.invoke<unknown>({
    destination: BUS,
    path: '/org/freedesktop/DBus',
    interface: BUS,
    member: 'GetNameOwner',
    signature: 's',
    body: [NAME],
  });
  if (typeof owner !== 'string') throw new TypeError('nobody shows notifications');
  return owner;
}

/** For servers that read markup in the text: what somebody typed as a command stays what they typed. */
export function escapeMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
