import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransport } from '../client/transport.ts';
import { enrol } from '../enrol/enrol.ts';
import type { Paths } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import type { FakeServer } from './fake-server.ts';

/** Folders of a host in a temporary place. */
export async function createHostFolders(
  serverUrl: string,
  extra = '',
): Promise<{ paths: Paths; dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'identree-agent-'));
  const paths = { config: join(dir, 'client.conf'), state: join(dir, 'state'), socket: join(dir, 'run', 'agent.sock') };
  const own = `IDENTREE_BREAKGLASS_FILE=${join(dir, 'identree-breakglass')}\nIDENTREE_BREAKGLASS_BCRYPT_COST=10\n`;
  await writeFile(paths.config, `IDENTREE_SERVER_URL=${serverUrl}\n${own}${extra}`, { mode: 0o600 });
  // What was under way may write once more.
  const remove = () => rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  return { paths, dir, remove };
}

/** A host that is enrolled at the fake server. @param others more addresses of it, which client.conf names too */
export async function createEnrolledHost(server: FakeServer, extra = '', others: readonly string[] = []) {
  const folders = await createHostFolders([server.url, ...others].join(' '), extra);
  const transport = createTransport({ serverUrl: server.url, ca: null });
  const result = await enrol(
    { transport, clock: systemClock, random: systemRandom },
    {
      credential: { token: server.token },
      serverUrl: server.url,
      hostname: 'web1.example.com',
      state: folders.paths.state,
      replace: false,
    },
  );
  transport.close();
  if (!result.ok) throw new Error(result.message);
  return { ...folders, hostId: result.hostId };
}
