import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TestCertificate } from '../../ldap/testing/certificates.ts';

const PROGRAM = '/usr/sbin/exim4';

/** Why no real mail server can take part; false when one can. */
export const whyNoMailServer: string | false =
  !existsSync(PROGRAM) && 'a real SMTP server is needed: sudo apt-get install exim4-daemon-light';

/** Exim does nothing for mail as root. Debian's `nobody`. */
const NOBODY = 65_534;

/** How Exim asks for a password, and under which names it then has user and password. */
const MECHANISMS = {
  PLAIN: { prompts: ':', user: '$auth2', password: '$auth3' },
  LOGIN: { prompts: '<| Username: | Password:', user: '$auth1', password: '$auth2' },
} as const;

interface Wanted {
  /** Null: it speaks no TLS. */
  certificate: TestCertificate | null;
  /** TLS from the beginning, not by STARTTLS. */
  implicit?: boolean;
  /** What GnuTLS agrees to, as a priority string. */
  agreesTo?: string;
  /** Who may send; without, everybody. `inClear`: it would also have the password without TLS. */
  account?: { user: string; password: string; mechanism: keyof typeof MECHANISMS; inClear?: boolean };
}

function authenticatorOf({ user, password, mechanism, inClear }: NonNullable<Wanted['account']>): string {
  const { prompts, ...sent } = MECHANISMS[mechanism];
  // By its hash: a password of any form then stands nowhere in what Exim expands.
  const hash = createHash('sha256').update(password).digest('hex');
  const right = `and{{eq{${sent.user}}{${user}}}{eqi{\${sha256:${sent.password}}}{${hash}}}}`;
  return `account:
  driver = plaintext
  public_name = ${mechanism}
  server_prompts = ${prompts}
  server_condition = \${if eq{${sent.user}}{busy}{the accounts cannot be read}{\${if ${right}{true}{false}}}}
  server_set_id = ${sent.user}
  server_advertise_condition = ${inClear ? 'true' : '${if def:tls_in_cipher}'}
`;
}

/** Whoever `slow` is may have mail later, and `gone` is nobody; everybody else's mail is kept in one folder. */
const configOf = (folder: string, uid: number, gid: number, { certificate, agreesTo, account }: Wanted): string => `
exim_user = ${uid}
exim_group = ${gid}
spool_directory = ${folder}/spool
primary_hostname = mail.example
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_auth = heard_auth
acl_smtp_mail = heard_mail
acl_smtp_rcpt = recipients
acl_smtp_data = accept
${certificate === null ? 'tls_advertise_hosts =' : `tls_certificate = ${folder}/cert.pem\ntls_privatekey = ${folder}/key.pem`}
${agreesTo === undefined ? '' : `tls_require_ciphers = ${agreesTo}`}
begin acl
heard_auth:
  accept condition = \${run{/usr/bin/touch ${folder}/heard/AUTH}{true}}
heard_mail:
  accept condition = \${run{/usr/bin/touch ${folder}/heard/MAIL}{true}}
recipients:
${account === undefined ? '' : '  deny !authenticated = *'}
  defer local_parts = slow
  deny local_parts = gone
  accept
begin routers
everybody:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  maildir_format
  directory = ${folder}/mail
  user = ${uid}
  group = ${gid}
  batch_max = 100
  envelope_to_add
  return_path_add
  headers_add = X-Sent-By: $authenticated_id
begin authenticators
${account === undefined ? '' : authenticatorOf(account)}`;

/**
 * A real Exim, one process for each connection as from inetd: the port is the test's own from the beginning, and who has
 * waited for a process has its mail.
 */
export async function startMailServer(t: Pick<TestContext, 'after'>, wanted: Wanted) {
  const isRoot = process.getuid!() === 0;
  const [uid, gid] = isRoot ? [NOBODY, NOBODY] : [process.getuid!(), process.getgid!()];
  const folder = await mkdtemp(join(tmpdir(), 'identree-exim-'));
  const files = { conf: configOf(folder, uid, gid, wanted), ...pemFiles(wanted.certificate) };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content, { mode: 0o600 });
  for (const name of ['spool', 'heard', 'mail']) await mkdir(join(folder, name));
  if (isRoot) for (const name of ['', ...(await readdir(folder))]) await chown(join(folder, name), uid, gid);

  const running = new Set<ChildProcess>();
  let connections = 0;
  let complaints = '';
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    connections += 1;
    const args = ['-C', join(folder, 'conf'), '-bs', '-odf', ...(wanted.implicit ? ['-tls-on-connect'] : [])];
    const child = spawn(PROGRAM, args, { stdio: [socket, socket, 'pipe'], env: {}, uid, gid });
    running.add(child);
    child.once('close', () => running.delete(child));
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      complaints += text;
    });
    socket.on('error', () => undefined);
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const settled = async () => {
    await Promise.all([...running].map((child) => once(child, 'close')));
  };
  t.after(async () => {
    server.close();
    for (const child of running) child.kill('SIGKILL');
    await settled();
    // A child of one that was killed may still put its message away.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    /** What it has kept, when everybody who was connected is gone. Lines end as they do on the wire. */
    async mails(): Promise<string[]> {
      await settled();
      const kept = await readdir(join(folder, 'mail', 'new')).catch((): string[] => []);
      const texts = kept.sort().map((name) => readFile(join(folder, 'mail', 'new', name), 'utf8'));
      return (await Promise.all(texts)).map((text) => text.replaceAll('\n', '\r\n'));
    },
    /** Which of AUTH and MAIL anybody has said to it, when everybody who was connected is gone. */
    async heard(): Promise<string[]> {
      await settled();
      return (await readdir(join(folder, 'heard'))).sort();
    },
    /** What it says about itself. */
    complaints: () => complaints,
  };
}

const pemFiles = (made: TestCertificate | null): Record<string, string> =>
  made === null ? {} : { 'cert.pem': made.certificate, 'key.pem': made.key };
