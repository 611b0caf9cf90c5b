import { accountName } from '#shared/names.ts';

/** What the PAM stage tells about who asks. Only root can speak here, so this is as true as PAM's own view. */
export interface Hello {
  mode: 'sudo' | 'ssh' | 'ssh-begin' | 'ssh-wait';
  service: string;
  /** The account that asks: PAM_RUSER under sudo, PAM_USER under sshd. */
  user: string;
  /** Null when the system knows no such account. */
  uid: number | null;
  tty: string | null;
  rhost: string | null;
  sshConnection: string | null;
  sshAuthInfo: string | null;
  /** The process that waits for the verdict, and its start time in clock ticks since boot. */
  ppid: number;
  pstart: string;
  /** The caller has the terminal, so keys such as Ctrl-C reach us. */
  foreground: boolean;
  /** Terminal size, when there is one. */
  cols: number | null;
  rows: number | null;
}

/** The PAM module inside a sudo: does the plugin of this very process ask by itself? */
export interface RegisteredHello {
  mode: 'sudo-registered';
  pid: number;
  pstart: string;
}

/** What the sudo plugin tells about the sudo that it is part of. */
export interface PluginHello {
  /** `sudo-open`: this sudo asks by itself. `sudo-check`: may this run? `sudo-report`: what became of it. */
  mode: 'sudo-open' | 'sudo-check' | 'sudo-report';
  /** Names the sources that the plugin was built from. */
  build: string;
  pid: number;
  pstart: string;
  foreground: boolean;
  /** Version of the plugin interface of that sudo, `1.21`. */
  api: string;
  /** A command that an allowed one has started. */
  intercepted: boolean;
  /** What there is to report, for `sudo-report`. */
  report: { event: 'started' | 'ended' | 'refused'; statusType: number; status: number; ms: number } | null;
}

const SERVICE = /^[a-zA-Z0-9_-]{1,32}$/;

function whole(text: string | undefined, max: number): number | null {
  if (text === undefined || !/^\d{1,20}$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

/** NUL-terminated key=value fields. Null when one is doubled or malformed, or the version is another. */
function fieldsOf(payload: Buffer): Map<string, string> | null {
  if (payload.length === 0 || payload[payload.length - 1] !== 0) return null;
  const fields = new Map<string, string>();
  for (const field of payload.subarray(0, -1).toString('utf8').split('\0')) {
    const equals = field.indexOf('=');
    if (equals < 1 || fields.has(field.slice(0, equals))) return null;
    fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  return fields.get('v') === '1' ? fields : null;
}

const EVENTS = ['started', 'ended', 'refused'] as const;

function processOf(fields: Map<string, string>): { pid: number; pstart: string } | null {
  const pid = whole(fields.get('pid'), 2 ** 31 - 1);
  const pstart = fields.get('pstart') ?? '';
  return pid === null || pid < 1 || !/^\d{1,20}$/.test(pstart) ? null : { pid, pstart };
}

function parseRegistered(mode: RegisteredHello['mode'], fields: Map<string, string>): RegisteredHello | null {
  const process = processOf(fields);
  return process && { mode, ...process };
}

function parsePlugin(mode: PluginHello['mode'], fields: Map<string, string>): PluginHello | null {
  const process = processOf(fields);
  const build = fields.get('build') ?? '';
  const api = fields.get('api') ?? '';
  if (process === null || !/^[0-9a-z]{1,64}$/.test(build) || !/^\d{1,5}\.\d{1,5}$/.test(api)) return null;
  const told = { foreground: fields.get('fg') === '1', intercepted: fields.get('intercepted') === '1' };
  if (mode !== 'sudo-report') return { mode, build, api, ...process, ...told, report: null };
  const event = EVENTS.find((name) => name === fields.get('event'));
  const statusType = whole(fields.get('status_type'), 255);
  const status = whole(fields.get('status'), 2 ** 32 - 1);
  const ms = whole(fields.get('ms'), Number.MAX_SAFE_INTEGER);
  if (!event || statusType === null || status === null || ms === null) return null;
  return { mode, build, api, ...process, ...told, report: { event, statusType, status, ms } };
}

export type AnyHello = Hello | PluginHello | RegisteredHello;

const STAGE_MODES: readonly Hello['mode'][] = ['sudo', 'ssh', 'ssh-begin', 'ssh-wait'];

/** Parses what a hook says first. Null when anything needed is missing, doubled or malformed. */
export function parseHello(payload: Buffer): AnyHello | null {
  const fields = fieldsOf(payload);
  const mode = fields?.get('mode');
  if (!fields) return null;
  if (mode === 'sudo-open' || mode === 'sudo-check' || mode === 'sudo-report') return parsePlugin(mode, fields);
  if (mode === 'sudo-registered') return parseRegistered(mode, fields);
  return STAGE_MODES.includes(mode as Hello['mode']) ? parseStage(mode as Hello['mode'], fields) : null;
}

function parseStage(mode: Hello['mode'], fields: Map<string, string>): Hello | null {
  const service = fields.get('service') ?? '';
  const pstart = fields.get('pstart') ?? '';
  const ppid = whole(fields.get('ppid'), 2 ** 31 - 1);
  if (!SERVICE.test(service) || ppid === null || ppid < 1 || !/^\d{1,20}$/.test(pstart)) return null;
  // A name that did not fit is another name.
  if (fields.has('user_truncated') || fields.has('ruser_truncated')) return null;
  // With `Defaults rootpw` PAM_USER is whose password counts; PAM_RUSER is who asks.
  const ruser = mode === 'sudo' ? (fields.get('ruser') ?? '') : '';
  const user = ruser === '' ? (fields.get('user') ?? '') : ruser;
  if (!accountName.safeParse(user).success) return null;
  return {
    mode,
    service,
    user,
    uid: whole(ruser === '' ? fields.get('uid') : fields.get('ruid'), 4_294_967_295),
    tty: fields.get('tty') || null,
    rhost: fields.get('rhost') || null,
    sshConnection: fields.get('ssh_connection') || null,
    sshAuthInfo: fields.get('ssh_auth_info') || null,
    ppid,
    pstart,
    foreground: fields.get('fg') === '1',
    cols: whole(fields.get('cols'), 100_000),
    rows: whole(fields.get('rows'), 100_000),
  };
}
