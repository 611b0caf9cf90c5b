import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { uuid } from '#shared/names.ts';
import type { HostService } from '../hosts/service.ts';
import { stateFiles } from './state-folder.ts';

/** Name of the host that enrols itself. */
export const DEMO_HOST = 'demo';

/** In the history, who made the demo host's token. */
const ACTOR = 'evaluation';

// A program of its own: the server shares contracts with the agent, not code.
const AGENT = fileURLToPath(new URL('../../../agent/src/main.ts', import.meta.url));

/** Where the demo host's agent has its files, as arguments for it. */
export function demoHostArguments(folder: string): string[] {
  const { host } = stateFiles(folder);
  return ['--config', join(host, 'client.conf'), '--state', host, '--socket', join(host, 'agent.sock')];
}

const identity = z.object({ hostId: uuid, externalUrl: z.string() });

/** Enrols the demo host with the real agent, unless it is enrolled with this server already. */
export async function enrolDemoHost(deps: {
  hosts: Pick<HostService, 'createToken' | 'list' | 'revoke'>;
  serverUrl: string;
  folder: string;
}): Promise<void> {
  const { hosts, serverUrl, folder } = deps;
  const { host } = stateFiles(folder);
  const enrolled = readIdentity(join(host, 'identity.json'));
  const known = (await hosts.list()).filter(({ hostname, state }) => hostname === DEMO_HOST && state !== 'revoked');
  if (
    enrolled?.externalUrl === serverUrl &&
    known.some(({ id, state }) => id === enrolled.hostId && state === 'active')
  )
    return;
  for (const { id } of known) await hosts.revoke(id, { username: ACTOR, remoteAddr: null });

  mkdirSync(host, { recursive: true, mode: 0o700 });
  writeFileSync(join(host, 'client.conf'), `IDENTREE_SERVER_URL=${serverUrl}\n`, { mode: 0o600 });
  const { token } = await hosts.createToken(DEMO_HOST, ACTOR, null);
  await runAgent(['enroll', ...demoHostArguments(folder), '--hostname', DEMO_HOST, '--replace'], token);
}

function readIdentity(path: string): z.infer<typeof identity> | null {
  if (!existsSync(path)) return null;
  try {
    return identity.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

/** The token goes in on standard input: arguments can be read by everybody on this machine. */
function runAgent(args: readonly string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', AGENT, ...args],
      { timeout: 60_000, cwd: '/' },
      (error, _stdout, stderr) => {
        if (error) reject(new Error(`the demo host could not be enrolled: ${stderr.trim() || error.message}`));
        else resolve();
      },
    );
    child.stdin?.end(`${input}\n`);
  });
}
