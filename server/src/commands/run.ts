import { parseArgs } from 'node:util';
import { Refusal } from '#shared/errors.ts';
import { loadConfig } from '../config/load-config.ts';
import { backup, restore } from './backup.ts';
import { type Command, type CommandIo, EXIT } from './command.ts';
import { exportApproval } from './export-approval.ts';
import { hostsCommand } from './hosts.ts';
import { recoveryCode } from './recovery-code.ts';
import { serve } from './serve.ts';
import { exportTrust } from './trust.ts';
import { uidMapCommand } from './uidmap.ts';
import { verifyLog } from './verify-log.ts';

const USAGE = `identree-server: the server of identree

  identree-server serve                       run the server
  identree-server hosts list [--json]         hosts and their state
  identree-server hosts token NAME            make an enrolment token for one host
  identree-server hosts confirm ID PRINT      accept a waiting host by its key fingerprint
  identree-server hosts release ID            let a quarantined host speak again
  identree-server hosts group ID [GROUP]      put a host into a group for policies
  identree-server hosts revoke ID             end a host's identity
  identree-server recovery-code USERNAME      let a person replace lost passkeys
  identree-server export-approval ID [FILE]   write one decision with all its evidence
  identree-server trust [FILE]                write the keys that hosts and auditors pin
  identree-server verify-log [--json]         walk the event chain
  identree-server uidmap COMMAND              uids and gids: export, verify, diff, import, reserve, adopt, repair
  identree-server backup FOLDER               copy database and keys into a new folder
  identree-server restore FOLDER              put them back where the configuration says

Configuration: environment, /etc/identree/identree.toml. See docs/configuration.md.
`;

const parse = (args: string[]) =>
  parseArgs({
    args,
    options: {
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      format: { type: 'string' },
      merge: { type: 'boolean' },
      yes: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
    },
    allowPositionals: true,
  });

/** What a command takes beside `--help`. A flag that would be ignored is refused: it may have been meant to prevent. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  'hosts list': ['json'],
  'verify-log': ['json'],
  'uidmap export': ['format'],
  'uidmap verify': ['json'],
  'uidmap diff': ['json'],
  'uidmap import': ['merge'],
  'uidmap adopt': ['yes'],
  'uidmap repair': ['dry-run'],
};

/** Runs one command of `identree-server`. @returns the exit code. */
export async function runCommand(io: CommandIo): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(io.argv);
  } catch (error) {
    io.err(`${(error as Error).message}\n\n${USAGE}`);
    return EXIT.usage;
  }
  const [name, ...args] = parsed.positionals;
  if (parsed.values.help || name === 'help') {
    io.out(USAGE);
    return EXIT.ok;
  }
  const commands: Record<string, (command: Command, args: string[]) => Promise<number>> = {
    serve,
    hosts: hostsCommand,
    'export-approval': exportApproval,
    'recovery-code': recoveryCode,
    trust: exportTrust,
    'verify-log': verifyLog,
    uidmap: uidMapCommand,
    backup,
    restore,
  };
  const command = name === undefined ? undefined : commands[name];
  if (!command) {
    io.err(name === undefined ? USAGE : `unknown command: ${name}\n\n${USAGE}`);
    return EXIT.usage;
  }
  const allowed = FLAGS[`${name} ${args[0]}`] ?? FLAGS[`${name}`] ?? [];
  const foreign = Object.keys(parsed.values).find((flag) => !allowed.includes(flag));
  if (foreign !== undefined) {
    io.err(`this command has no --${foreign}\n\n${USAGE}`);
    return EXIT.usage;
  }
  const loaded = loadConfig({ env: io.env, readFile: io.readFile });
  for (const warning of loaded.warnings) io.err(`warning: ${warning.setting}: ${warning.problem}. ${warning.fix}\n`);
  if (!loaded.ok) {
    io.err(`The configuration has ${loaded.errors.length === 1 ? 'an error' : `${loaded.errors.length} errors`}:\n`);
    for (const { setting, problem, fix } of loaded.errors) io.err(`  ${setting}: ${problem}${fix ? `. ${fix}` : ''}\n`);
    return EXIT.configuration;
  }
  try {
    return await command({ ...io, config: loaded.config, flags: parsed.values }, args);
  } catch (error) {
    io.err(`identree-server: ${error instanceof Refusal || error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof Error && error.cause instanceof Error) io.err(`  because: ${error.cause.message}\n`);
    return EXIT.failed;
  }
}
