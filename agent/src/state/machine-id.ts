import { readFile } from 'node:fs/promises';
import { sha256 } from '#shared/digest.ts';
import type { Random } from '../platform/random.ts';
import { randomText } from '../platform/random.ts';
import { atomicWrite } from './atomic-write.ts';
import { readTrustedFile } from './trusted-file.ts';

const PREFIX = 'identree machine id v1\n';

/**
 * SHA-256 of /etc/machine-id with a fixed prefix: machine-id(5) asks not to hand the id itself to the network.
 * A machine without one (a container) gets a random one in the state folder.
 */
export async function machineId(deps: { fallback: string; random: Random; etc?: string }): Promise<string> {
  const own = await readFile(deps.etc ?? '/etc/machine-id', 'utf8').catch(() => '');
  if (/^[0-9a-f]{32}\s*$/.test(own)) return sha256(PREFIX + own.trim());
  const stored = await readTrustedFile(deps.fallback, { private: true });
  if (stored && stored.length > 0) return sha256(PREFIX + stored.toString('utf8').trim());
  const fresh = randomText(deps.random);
  await atomicWrite(deps.fallback, `${fresh}\n`);
  return sha256(PREFIX + fresh);
}
