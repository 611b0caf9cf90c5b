import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDuration } from '../config/values.ts';

export interface EvaluationOptions {
  port: number;
  /** The port was asked for, so that another one will not do. */
  portChosen: boolean;
  folder: string;
  challengeTtlMs: number;
  /** Null: no directory is served. */
  ldapPort: number | null;
  /** Settings to try, by the names of their variables. */
  settings: Record<string, string>;
}

/** What can be tried here: whatever else the evaluation needs as it is. */
const TRIED = /^IDENTREE_(?:(?:AUDIT|NOTIFY)_[A-Z0-9_]+|METRICS_TOKEN(?:_FILE)?)$/;

export const USAGE = `npm start -- [--port PORT] [--ldap-port PORT] [--ttl DURATION] [--dir FOLDER] [--set NAME=VALUE]...

  --port PORT      listen on another port than 8090
  --ldap-port PORT serve the LDAP directory on another port than 3389, or not at all: off
  --ttl DURATION   how long a request waits for an answer (5s to 24h; 120s)
  --dir FOLDER     where to keep everything (./.identree)
  --set NAME=VALUE a setting to try: IDENTREE_AUDIT_…, IDENTREE_NOTIFY_… or IDENTREE_METRICS_TOKEN. The environment and
                   /etc/identree/identree.toml count for nothing here
`;

/** Reads the command line. `problem` is a sentence for the person. */
export function parseOptions(
  args: readonly string[],
  cwd: string,
): { ok: true; options: EvaluationOptions } | { ok: false; problem: string } {
  let values: { port?: string; 'ldap-port'?: string; ttl?: string; dir?: string; set?: string[]; help?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        'ldap-port': { type: 'string' },
        ttl: { type: 'string' },
        dir: { type: 'string' },
        set: { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    return { ok: false, problem: `${(error as Error).message}\n\n${USAGE}` };
  }
  if (values.help) return { ok: false, problem: USAGE };
  const port = readPort(values.port ?? '8090');
  if (port === null) return { ok: false, problem: '--port needs a number from 1 to 65535.' };
  const ldap = values['ldap-port'] ?? '3389';
  const ldapPort = readPort(ldap);
  if (ldapPort === null && ldap !== 'off') {
    return { ok: false, problem: '--ldap-port needs a number from 1 to 65535, or off.' };
  }
  const challengeTtlMs = parseDuration(values.ttl ?? '120s') ?? 0;
  if (challengeTtlMs < 5000 || challengeTtlMs > 86_400_000) {
    return { ok: false, problem: '--ttl needs a duration from 5s to 24h, like 90s or 5m.' };
  }
  const settings: Record<string, string> = {};
  for (const given of values.set ?? []) {
    const [name, value] = given.split(/=(.*)/s) as [string, string?];
    if (value === undefined || !TRIED.test(name)) {
      const problem = `--set ${name}: NAME=VALUE is needed, with IDENTREE_AUDIT_…, IDENTREE_NOTIFY_… or IDENTREE_METRICS_TOKEN.`;
      return { ok: false, problem };
    }
    settings[name] = value;
  }
  const folder = resolve(cwd, values.dir ?? '.identree');
  const portChosen = values.port !== undefined;
  return { ok: true, options: { port, portChosen, folder, challengeTtlMs, ldapPort, settings } };
}

function readPort(text: string): number | null {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}
