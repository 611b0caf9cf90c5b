import { createClient } from 'dbus-native';
import { until } from '../../harness/run.ts';

const WATCHER = 'org.kde.StatusNotifierWatcher';
const ITEM = 'org.kde.StatusNotifierItem';
const MENU = 'com.canonical.dbusmenu';

/** One line of the menu of a tray icon. */
export interface TrayLine {
  id: number;
  label: string;
  enabled: boolean;
}

/** Stands for the part of a desktop that shows tray icons. */
export async function startTrayHost(address: string) {
  const bus = createClient({ busAddress: address });
  const items: { name: string; path: string }[] = [];
  bus.connection.on('message', (message: { member?: string; sender?: string; body?: unknown[] }) => {
    if (message.member !== 'RegisterStatusNotifierItem') return;
    const given = String(message.body?.[0]);
    const name = given.startsWith('/') ? message.sender! : given;
    items.push({ name, path: given.startsWith('/') ? given : '/StatusNotifierItem' });
  });
  bus.exportInterface(
    {
      RegisterStatusNotifierItem() {
        return null;
      },
      RegisterStatusNotifierHost() {
        return null;
      },
      RegisteredStatusNotifierItems: [],
      IsStatusNotifierHostRegistered: true,
      ProtocolVersion: 0,
    },
    '/StatusNotifierWatcher',
    {
      name: WATCHER,
      methods: {
        RegisterStatusNotifierItem: ['s', '', ['service'], []],
        RegisterStatusNotifierHost: ['s', '', ['service'], []],
      },
      properties: {
        RegisteredStatusNotifierItems: { type: 'as', access: 'read' },
        IsStatusNotifierHostRegistered: { type: 'b', access: 'read' },
        ProtocolVersion: { type: 'i', access: 'read' },
      },
    },
  );
  await bus.requestName(WATCHER, 0);

  const property = <T>(destination: string, path: string, name: string): Promise<T> =>
    Promise.resolve(
      bus.invoke<T>({
        destination,
        path,
        interface: 'org.freedesktop.DBus.Properties',
        member: 'Get',
        signature: 'ss',
        body: [ITEM, name],
      }),
    );

  const isThere = async (name: string): Promise<boolean> =>
    bus.invoke<boolean>({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'NameHasOwner',
      signature: 's',
      body: [name],
    });
  /** The icon of the program that was started last, once it has put one there. */
  const item = () =>
    until('the icon', async () => {
      const last = items.at(-1);
      return last && (await isThere(last.name)) && last;
    });

  return {
    /** What stands beside the icon of the last item. */
    async tooltip(): Promise<string> {
      const { name, path } = await item();
      const [, , title] = await property<[string, unknown, string, string]>(name, path, 'ToolTip');
      return title;
    },
    /** The icon's picture, as bytes. */
    async picture(): Promise<Buffer> {
      const { name, path } = await item();
      const pictures = await property<[number, number, Buffer][]>(name, path, 'IconPixmap');
      return Buffer.from(pictures.at(-1)![2]);
    },
    async lines(): Promise<TrayLine[]> {
      const { name, path } = await item();
      const menu = await property<string>(name, path, 'Menu');
      const [, [, , children]] = await bus.invoke<[number, [number, unknown, unknown[]]]>({
        destination: name,
        path: menu,
        interface: MENU,
        member: 'GetLayout',
        signature: 'iias',
        body: [0, -1, []],
      });
      return (children as [number, Record<string, unknown>, unknown[]][]).map(([id, properties]) => ({
        id,
        // A doubled underscore is one; a single one marks a shortcut.
        label: String(properties.label ?? '').replace(/_(.?)/g, '$1'),
        enabled: properties.enabled !== false,
      }));
    },
    /**
     * Calls the icon, and tells its menu of these events of these lines; whether it knows them is its own affair. Comes
     * back once it has heard all of it.
     */
    async assail(calls: [member: string, signature: string, body: unknown[]][], events: [id: number, event: string][]) {
      const { name, path } = await item();
      const menu = await property<string>(name, path, 'Menu');
      const send = (message: Parameters<typeof bus.invoke>[0]) =>
        void Promise.resolve(bus.invoke(message)).catch(() => {});
      for (const [member, signature, body] of calls) {
        send({ destination: name, path, interface: ITEM, member, signature, body });
      }
      for (const [id, event] of events) {
        const body = [id, event, ['i', 0], 0];
        send({ destination: name, path: menu, interface: MENU, member: 'Event', signature: 'isvu', body });
      }
      await property(name, path, 'ToolTip');
    },
    async click(id: number): Promise<void> {
      const { name, path } = await item();
      const menu = await property<string>(name, path, 'Menu');
      await bus.invoke({
        destination: name,
        path: menu,
        interface: MENU,
        member: 'Event',
        signature: 'isvu',
        body: [id, 'clicked', ['i', 0], 0],
      });
    },
    close: () => void bus.connection.end(),
  };
}
