import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import type { Database } from '../db/database.ts';
import { createPocketIdClient, type PocketIdClient } from '../directory/pocketid/client.ts';
import { createPocketIdSource } from '../directory/pocketid/source.ts';
import { createHttpGet } from '../directory/pocketid/transport.ts';
import { createScimSource } from '../directory/scim/source.ts';
import { createFileSource } from '../directory/source/file-source.ts';
import type { DirectorySource } from '../directory/source/source.ts';
import type { Clock } from '../platform/clock.ts';
import { VERSION } from '../version.ts';

/** Where people come from, and who can be asked about one of them; null where there is no such source. */
export async function createSource(deps: {
  config: Config;
  clock: Clock;
  db: Database;
}): Promise<{ source: DirectorySource | null; client: PocketIdClient | null }> {
  const { config, clock, db } = deps;
  const issuer = config.oidc.issuerUrl;
  switch (config.directory.source) {
    case 'none':
      return { source: null, client: null };
    case 'file':
      return { source: createFileSource({ path: config.directory.file!, issuer }), client: null };
    case 'scim':
      return { source: createScimSource({ db }), client: null };
    case 'pocketid': {
      const { apiKey, apiUrl, caCertFile } = config.pocketId;
      const ca = caCertFile === null ? undefined : await readFile(caCertFile, 'utf8');
      const pause = (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal });
      const client = createPocketIdClient({
        baseUrl: apiUrl ?? issuer,
        apiKey: apiKey!,
        get: createHttpGet({ ca, userAgent: `identree/${VERSION}` }),
        now: clock.now,
        sleep: pause,
      });
      return { source: createPocketIdSource({ client, issuer, sleep: pause }), client };
    }
  }
}
