import { accountName } from '#shared/names.ts';

/** What a hook tells about who asks. Only root can speak here, so this is as true as PAM's own view. */
export interface Hello {
  mode: 'sudo' | 'ssh-begin' | 'ssh-wait';
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

const SERVICE = /^[a-zA-Z0-9_-]{1,32}$/;

function whole(text: string | undefined, max: number): number | null {
  if (text === undefined || !/^\d{1,20}$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

/** Parses NUL-terminated key=value fields. Null when anything needed is missing, doubled or malformed. */
export function parseHello(payload: Buffer): Hello | null {
  if (payload.length === 0 || payload[payload.length - 1] !== 0) return null;
  const fields = new Map<string, string>();
  for (const field of payload.subarray(0, -1).toString('utf8').split('\0')) {
    const equals = field.indexOf('=');
    if (equals < 1 || fields.has(field.slice(0, equals))) return null;
    fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  const mode = fields.get('mode');
  if (fields.get('v') !== '1' || (mode !== 'sudo' && mode !== 'ssh-begin' && mode !== 'ssh-wait')) return null;
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
