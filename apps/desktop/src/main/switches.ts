/**
 * Switches of Chromium that a person may need: where their desktop draws, how the network is reached, what is written for
 * whoever helps them. None of them weakens a page or a certificate.
 */
const KEPT = new Set([
  'user-data-dir',
  'password-store',
  'lang',
  // What is drawn, and how
  'class',
  'disable-dev-shm-usage',
  'disable-gpu',
  'enable-wayland-ime',
  'force-device-scale-factor',
  'force-high-contrast',
  'force-renderer-accessibility',
  'gtk-version',
  'ozone-platform',
  'ozone-platform-hint',
  // The way to a server; who it is, its certificate says.
  'disable-http2',
  'disable-quic',
  'host-resolver-rules',
  'no-proxy-server',
  'proxy-auto-detect',
  'proxy-bypass-list',
  'proxy-pac-url',
  'proxy-server',
  // What is written down; not what is said to a server, which takes another switch.
  'enable-logging',
  'log-file',
  'log-level',
  'log-net-log',
  'v',
  'vmodule',
]);

/**
 * These open a port to every program and every user of this computer, who could read in the window and press what is in it.
 * As in Chrome they count only for a folder that was made for that.
 */
const DEBUGGING = new Set(['remote-debugging-address', 'remote-debugging-pipe', 'remote-debugging-port']);

/** Chromium takes one dash for two, and on Windows any case. */
const SWITCH = /^--?([^=]+)/;

/**
 * The first word that has Chromium do without a part of its sandbox; null when there is none. These count before any code
 * of the shell runs, so they cannot be taken away.
 */
export function switchAgainstSandbox(argv: readonly string[]): string | null {
  return argv.find((word) => /sandbox/i.test(SWITCH.exec(word)?.[1] ?? '')) ?? null;
}

/**
 * The switches that are not to count, of those that the program was started with. Whoever starts it could have it trust
 * every certificate, or give its pages what no page has; no list of such switches would ever be whole, so all are that are
 * not known to be harmless.
 *
 * @param argv what the program was started with, without the program
 * @param isPersonsFolder it works with the folder where the person's servers and sessions are
 */
export function unwantedSwitches(argv: readonly string[], isPersonsFolder: boolean): string[] {
  const isKept = (name: string) => KEPT.has(name) || (!isPersonsFolder && DEBUGGING.has(name));
  return argv.flatMap((word) => SWITCH.exec(word)?.[1] ?? []).filter((name) => !isKept(name));
}
