import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../testing/free-port.ts';
import { until } from './audit-kit.ts';

const PROGRAM = ['/usr/sbin/rsyslogd', '/sbin/rsyslogd'].find((path) => existsSync(path)) ?? null;

/** Why no real rsyslog can take part; null when one can. */
export function whyNoRsyslog(needs: { tls: boolean } = { tls: false }): string | null {
  if (PROGRAM === null) return 'rsyslog is needed (Debian package rsyslog)';
  const folders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'];
  const speaks = folders.some((folder) => existsSync(join(folder, 'rsyslog/lmnsd_gtls.so')));
  return needs.tls && !speaks ? 'rsyslog with TLS is needed (Debian package rsyslog-gnutls)' : null;
}

/** What it has understood of a message. */
export interface Understood {
  pri: string;
  time: string;
  host: string;
  app: string;
  pid: string;
  msgid: string;
  sd: string;
  msg: string;
}

/** A template whose every property is JSON text: what rsyslog has understood can be compared with what was sent. */
const TEMPLATE = `template(name="fields" type="list" option.jsonf="on") {
${[
  ['pri', 'pri'],
  ['time', 'timereported" dateFormat="rfc3339'],
  ['host', 'hostname'],
  ['app', 'app-name'],
  ['pid', 'procid'],
  ['msgid', 'msgid'],
  ['sd', 'structured-data'],
  ['msg', 'msg'],
]
  .map(([name, property]) => `  property(outname="${name}" name="${property}" format="jsonf")`)
  .join('\n')}
}
`;

/**
 * A real rsyslog with one input, that writes what it has understood to a file. It can be killed and started again.
 *
 * @param tls PEM files; `peers`: whose certificates are let in, null: everybody
 */
export async function startRsyslog(
  t: Pick<TestContext, 'after'>,
  what: {
    input: 'imudp' | 'imtcp';
    tls?: { ca: string; cert: string; key: string; clients: boolean };
  },
) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-rsyslog-'));
  const port = await freePort();
  const file = join(folder, 'events');
  const { tls } = what;
  const driver = tls
    ? ` StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="${tls.clients ? 'x509/certvalid' : 'anon'}"`
    : '';
  const files = tls
    ? `global(defaultNetstreamDriverCAFile="${tls.ca}" defaultNetstreamDriverCertFile="${tls.cert}" defaultNetstreamDriverKeyFile="${tls.key}")\n`
    : '';
  await writeFile(
    join(folder, 'conf'),
    `global(workDirectory="${folder}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="on")
${files}module(load="${what.input}"${driver})
${TEMPLATE}
input(type="${what.input}" port="${port}" address="127.0.0.1")
action(type="omfile" file="${file}" template="fields" flushOnTXEnd="on")
`,
  );
  let child: ChildProcess | null = null;
  let said = '';
  async function start(): Promise<void> {
    const started = spawn(PROGRAM!, ['-n', '-f', join(folder, 'conf'), '-i', join(folder, 'pid')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk) => {
        said += String(chunk);
      });
    }
    child = started;
    if (what.input === 'imtcp') {
      await until(async () => {
        if (started.exitCode !== null) throw new Error(`rsyslogd ended: ${said}`);
        const probe = connect(port, '127.0.0.1');
        const result = await Promise.race([
          once(probe, 'connect').then(() => true),
          once(probe, 'error').then(() => false),
        ]).catch(() => false);
        probe.destroy();
        return result;
      });
    } else
      await until(async () =>
        (await readFile('/proc/net/udp', 'utf8')).includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} `),
      );
  }
  async function kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const running = child;
    child = null;
    if (running === null || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
    await rm(join(folder, 'pid'), { force: true });
  }
  t.after(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });
  await start();
  return {
    port,
    start,
    kill,
    /** What it has understood so far; a line that a kill has torn is left out. */
    async understood(): Promise<Understood[]> {
      const text = await readFile(file, 'utf8').catch(() => '');
      return text.split('\n').flatMap((line): Understood[] => {
        try {
          return [JSON.parse(line) as Understood];
        } catch {
          return [];
        }
      });
    },
  };
}
