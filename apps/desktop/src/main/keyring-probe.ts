import { createClient } from 'dbus-native';
import { inTime, NotInTime } from './in-time.ts';

/** How long a keyring may take to say something that it need not ask anybody about, milliseconds. */
const PROBE_MS = 2000;

const BUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};

/** What Chromium takes as the keychain, and a question that each answers at once: any answer will do. */
const QUESTIONS = [
  {
    destination: 'org.freedesktop.secrets',
    path: '/org/freedesktop/secrets',
    interface: 'org.freedesktop.Secret.Service',
    member: 'ReadAlias',
    signature: 's',
    body: ['default'],
  },
  ...['kwalletd5', 'kwalletd6'].map((name) => ({
    destination: `org.kde.${name}`,
    path: `/modules/${name}`,
    interface: 'org.kde.KWallet',
    member: 'isEnabled',
  })),
];

/** Null for an address that is none of a bus, as `disabled:`, by which people say that there is to be none. */
function open(busAddress: string) {
  try {
    return createClient({ busAddress });
  } catch {
    return null;
  }
}

/**
 * Whether a keyring runs and says nothing, or the bus itself does not. None that runs is not silent.
 *
 * @param address of the session bus; undefined when the desktop has none
 */
export async function keyringIsSilent(address: string | undefined, patienceMs = PROBE_MS): Promise<boolean> {
  const bus = address ? open(address) : null;
  if (!bus) return false;
  const lost = new Promise<false>((resolve) => {
    bus.connection.on('error', () => resolve(false));
    bus.connection.on('close', () => resolve(false));
  });
  const isSilent = async (question: (typeof QUESTIONS)[number]): Promise<boolean> => {
    const runs = { ...BUS, member: 'NameHasOwner', signature: 's', body: [question.destination] };
    const asked = bus.invoke<unknown>(runs).then((isThere) => (isThere ? bus.invoke(question) : null));
    const answer = asked.catch(() => {});
    return inTime(answer, patienceMs).then(
      () => false,
      (error: unknown) => error instanceof NotInTime,
    );
  };
  try {
    const all = Promise.all(QUESTIONS.map(isSilent)).then((each) => each.includes(true));
    return await Promise.race([all, lost]);
  } catch {
    return false;
  } finally {
    bus.connection.end();
  }
}
