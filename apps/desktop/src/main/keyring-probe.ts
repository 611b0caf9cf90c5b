import { createClient } from 'dbus-native';
import { inTime, NotInTime } from './in-time.ts';

/** How long a keyring may take to say something that it need not ask anybody about, milliseconds; its own start is in it. */
const PROBE_MS = 4000;

const SECRETS = 'org.freedesktop.secrets';
const KWALLETS = ['kwalletd5', 'kwalletd6'];

const BUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};

type Bus = ReturnType<typeof createClient>;

async function isThere(bus: Bus, name: string, isStarted: boolean): Promise<boolean> {
  const runs = await bus.invoke<boolean>({ ...BUS, member: 'NameHasOwner', signature: 's', body: [name] });
  if (runs || !isStarted) return runs;
  const names = await bus.invoke<string[]>({ ...BUS, member: 'ListActivatableNames' });
  return names.includes(name);
}

/** Would it ask the person for a password: for the one of a keyring that is locked, or a new one where there is no keyring? */
async function secretsWouldAsk(bus: Bus, isStarted: boolean): Promise<boolean> {
  if (!(await isThere(bus, SECRETS, isStarted))) return false;
  const keyring = await bus.invoke<string>({
    destination: SECRETS,
    path: '/org/freedesktop/secrets',
    interface: 'org.freedesktop.Secret.Service',
    member: 'ReadAlias',
    signature: 's',
    body: ['default'],
  });
  if (keyring === '/') return true;
  const locked = await bus.invoke<unknown>({
    destination: SECRETS,
    path: keyring,
    interface: 'org.freedesktop.DBus.Properties',
    member: 'Get',
    signature: 'ss',
    body: ['org.freedesktop.Secret.Collection', 'Locked'],
  });
  // A variant, as it is or with its type before it.
  return (Array.isArray(locked) ? locked.at(-1) : locked) === true;
}

/** KWallet is only asked whether it is there: nothing that it answers means that it would ask nobody. */
async function kwalletHears(bus: Bus, name: string): Promise<false> {
  const question = {
    destination: `org.kde.${name}`,
    path: `/modules/${name}`,
    interface: 'org.kde.KWallet',
    member: 'isEnabled',
  };
  if (await isThere(bus, question.destination, false)) await bus.invoke(question);
  return false;
}

/** Null for an address that is none of a bus, as `disabled:`, by which people say that there is to be none. */
function open(busAddress: string) {
  try {
    return createClient({ busAddress });
  } catch {
    return null;
  }
}

/**
 * Whether a keyring would hold up whoever asks it: it says nothing, or the bus itself does not, or it would first ask the
 * person for a password. One that is not there, or refuses, holds nobody up.
 *
 * @param address of the session bus; undefined when the desktop has none
 * @param options.isStarted one that the bus can start counts too: who asks has it started
 */
export async function keyringWouldHold(
  address: string | undefined,
  { patienceMs = PROBE_MS, isStarted = false } = {},
): Promise<boolean> {
  const bus = address ? open(address) : null;
  if (!bus) return false;
  const lost = new Promise<false>((resolve) => {
    bus.connection.on('error', () => resolve(false));
    bus.connection.on('close', () => resolve(false));
  });
  const answers = [secretsWouldAsk(bus, isStarted), ...KWALLETS.map((name) => kwalletHears(bus, name))];
  const holds = (answer: Promise<boolean>) =>
    inTime(answer, patienceMs).catch((error: unknown) => error instanceof NotInTime);
  try {
    const all = Promise.all(answers.map(holds)).then((each) => each.includes(true));
    return await Promise.race([all, lost]);
  } catch {
    return false;
  } finally {
    bus.connection.end();
  }
}
