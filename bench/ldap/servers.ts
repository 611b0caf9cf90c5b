import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../e2e/harness/run.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';

export const SERVICE_DN = `cn=sssd,${BASE}`;
export const SERVICE_PASSWORD = 'for-the-benchmark';

/** What something took, in milliseconds: until it was seen, and of processor time. */
export interface Took {
  ms: number;
  cpuMs: number;
}

/** Our server in a process of its own. */
export interface Candidate {
  port: number;
  tlsPort: number;
  pid: number;
  /** From the start to the first answer, and from a change of the file to its answer. */
  first: Took;
  change: Took;
  /** An enrolled host: its certificate, and the CA of both sides. */
  tls: Pem;
  stop(): void;
}

export interface Pem {
  certificate: string;
  key: string;
  ca: string;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** @param folder for its database and keys. */
export async function startOurs(users: number, folder: string): Promise<Candidate> {
  const own = await mkdtemp(join(folder, 'ours-'));
  const args = [
    '--disable-warning=ExperimentalWarning',
    join(import.meta.dirname, 'server.ts'),
    JSON.stringify({ users, folder: own, account: SERVICE_DN, password: SERVICE_PASSWORD }),
  ];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text);
    });
    child.once('exit', () => reject(new Error('our server ended')));
  });
  return { ...(JSON.parse(line) as Omit<Candidate, 'stop'>), stop: () => child.kill('SIGKILL') };
}

/** Some attributes of every entry that our server has, as LDIF. */
export async function enumerateOurs(port: number, folder: string, attributes: readonly string[]): Promise<string> {
  const file = join(folder, 'enumeration.ldif');
  const names = attributes.map((name) => `'${name}'`).join(' ');
  const program = `ldapsearch -x -LLL -o ldif-wrap=no -H ldap://127.0.0.1:${port} -b ${BASE} '(objectClass=*)' ${names} > ${file}`;
  await must('/bin/sh', ['-c', program], { timeoutMs: 300_000, env: { PATH: '/usr/bin:/bin', LDAPCONF: '/dev/null' } });
  return readFile(file, 'utf8');
}

export async function rssMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024;
}
