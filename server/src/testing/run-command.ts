import { runCommand } from '../commands/run.ts';
import type { Config } from '../config/config.ts';
import { readTextSync } from '../platform/key-files.ts';

/** What came of a command. */
export interface CommandResult {
  code: number;
  out: string;
  err: string;
}

/**
 * Runs a command of `identree-server` in this process. For tests.
 *
 * @param untilStopped what a server waits for; it stops at once unless this is said
 */
export async function runWith(
  argv: string[],
  env: Record<string, string>,
  untilStopped: (told: () => string) => Promise<void> = async () => {},
): Promise<CommandResult> {
  let out = '';
  let err = '';
  const code = await runCommand({
    argv,
    env,
    readFile: readTextSync,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    untilStopped: () => untilStopped(() => out),
    onHangUp: () => {},
  });
  return { code, out, err };
}

/** Runs one on an installation, as its operator would. For tests. */
export const runOn = (argv: string[], config: Config, env: Record<string, string> = {}): Promise<CommandResult> =>
  runWith(argv, {
    IDENTREE_EXTERNAL_URL: config.externalUrl,
    IDENTREE_DATABASE_DRIVER: config.database.driver,
    IDENTREE_DATABASE_DSN: config.database.dsn,
    IDENTREE_KEYS_DIR: config.keysDir,
    IDENTREE_OIDC_ISSUER_URL: 'https://idp.example.com',
    IDENTREE_OIDC_CLIENT_ID: 'identree',
    IDENTREE_OIDC_CLIENT_SECRET: 'b4bQ1wWqvJ7m0r9cXk2ZsT5u',
    IDENTREE_ADMIN_GROUPS: 'admins',
    IDENTREE_LDAP_ENABLED: 'false',
    IDENTREE_LOG_LEVEL: 'error',
    ...env,
  });
