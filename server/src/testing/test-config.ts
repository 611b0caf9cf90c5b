import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { formatProblems } from '../config/problems.ts';

export const TEST_EXTERNAL_URL = 'https://identree.example.com';

/**
 * A complete configuration below one folder.
 *
 * @param env settings as an operator writes them, in place of these.
 */
export function testConfig(folder: string, env: Record<string, string> = {}): Config {
  const loaded = loadConfig({
    env: {
      IDENTREE_EXTERNAL_URL: TEST_EXTERNAL_URL,
      IDENTREE_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_KEYS_DIR: join(folder, 'keys'),
      IDENTREE_LOG_LEVEL: 'error',
      IDENTREE_DATABASE_DSN: join(folder, 'identree.db'),
      IDENTREE_OIDC_ISSUER_URL: 'http://localhost:9',
      IDENTREE_OIDC_CLIENT_ID: 'identree',
      IDENTREE_OIDC_CLIENT_SECRET: 'not-used-here',
      IDENTREE_ADMIN_GROUPS: 'admins',
      IDENTREE_LDAP_UID_MAP_FILE: join(folder, 'uidmap.json'),
      ...env,
    },
    readFile: () => {
      throw Object.assign(new Error('tests read no configuration file'), { code: 'ENOENT' });
    },
  });
  if (!loaded.ok) throw new Error(formatProblems(loaded.errors));
  return loaded.config;
}
