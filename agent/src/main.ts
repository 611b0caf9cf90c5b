import { parseArgs } from 'node:util';
import { ConfigError } from './config/client-conf.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { DEFAULT_PATHS, type Paths } from './paths.ts';
import { createLog } from './platform/log.ts';
import { SocketError } from './service/socket-server.ts';
import { NotEnrolled } from './state/identity.ts';
import { UntrustedFile } from './state/trusted-file.ts';
import { AGENT_VERSION } from './version.ts';

const HELP = `identree ${AGENT_VERSION}: sudo and SSH on this host, approved elsewhere

  identree enroll            make this host known to its server; the token comes on standard input
      --token-file FILE        read the token from a file
      --secret-file FILE       enrol with the shared secret instead; an operator then confirms the host
      --hostname NAME          instead of the system's host name
      --replace                give up the present identity
  identree setup --pam LIST  let identree decide for sudo,sudo-i,sshd (comma-separated)
      --sssd                   take people, groups and sudo rules from the server's directory
        --host-access            only people whom the directory names for this host may log in
        --start-tls              protect an ldap:// address with StartTLS
        --allow-plain-ldap       do without TLS, knowing that the network then decides who is root
        --force                  replace an sssd.conf that is not identree's; --undo brings it back
      --sudo-ldap              have sudo read its rules there, when sssd asks another directory
      --undo                   put everything back as it was
      --dry-run                show what would change
  identree status [--json]   what this host is and what keeps it from working (also: identree doctor)
  identree renew-cert        get a new certificate now; the agent does so by itself in time
  identree try [--user NAME] COMMAND [ARGUMENT...]
                             rehearse an approval; nothing is run
  identree verify-approval FILE [--trust FILE] [--json]
                             check an exported approval offline
  identree agent             the resident service
  identree gate --direct     used by the PAM stage when the service is down

  --config FILE  (${DEFAULT_PATHS.config})
  --state DIR    (${DEFAULT_PATHS.state})
  --socket FILE  (${DEFAULT_PATHS.socket})
`;

const COMMON = {
  config: { type: 'string' },
  state: { type: 'string' },
  socket: { type: 'string' },
} as const;

const print = (line: string) => process.stdout.write(`${line}\n`);

function pathsOf(values: {
  config?: string | undefined;
  state?: string | undefined;
  socket?: string | undefined;
}): Paths {
  return {
    config: values.config ?? DEFAULT_PATHS.config,
    state: values.state ?? DEFAULT_PATHS.state,
    socket: values.socket ?? DEFAULT_PATHS.socket,
  };
}

/** Options before the first other word; everything from there on is the command to rehearse, options and all. */
function splitTry(args: readonly string[]): { own: string[]; words: string[] } {
  let at = 0;
  while (at < args.length && args[at]!.startsWith('--')) {
    if (args[at] === '--') return { own: args.slice(0, at), words: args.slice(at + 1) };
    at += args[at]!.includes('=') ? 1 : 2;
  }
  return { own: args.slice(0, at), words: args.slice(at) };
}

function needRoot(): void {
  if (process.geteuid?.() !== 0)
    throw new CommandError(EXIT.notRoot, 'This needs root. Run it with sudo or in a root shell.');
}

/** With folders of one's own (`--state`), root is not needed. */
function needRootFor(paths: Paths): void {
  if (paths.state === DEFAULT_PATHS.state) needRoot();
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}

const log = createLog((line) => process.stderr.write(line), process.env.JOURNAL_STREAM !== undefined);

async function run(command: string | undefined, args: string[]): Promise<number> {
  switch (command) {
    case 'enroll':
    case 'enrol': {
      const options = {
        ...COMMON,
        'token-file': { type: 'string' },
        'secret-file': { type: 'string' },
        hostname: { type: 'string' },
        replace: { type: 'boolean' },
      } as const;
      const { values } = parseArgs({ args, options });
      const paths = pathsOf(values);
      needRootFor(paths);
      const { enrollCommand } = await import('./enrol/enroll-host.ts');
      return enrollCommand(
        paths,
        {
          tokenFile: values['token-file'] ?? null,
          secretFile: values['secret-file'] ?? null,
          hostname: values.hostname ?? null,
          replace: values.replace ?? false,
        },
        print,
      );
    }
    case 'agent': {
      const paths = pathsOf(parseArgs({ args, options: COMMON }).values);
      needRootFor(paths);
      const { runAgent } = await import('./app.ts');
      await runAgent(paths, log, stopSignal());
      return EXIT.ok;
    }
    case 'gate': {
      const { values } = parseArgs({ args, options: { ...COMMON, direct: { type: 'boolean' } } });
      if (!values.direct) throw new CommandError(EXIT.usage, 'identree gate needs --direct. The PAM stage starts it.');
      // The stage ends us by signal once it has its verdict; what is left to report gets its chance.
      process.on('SIGTERM', () => undefined);
      const { runDirectGate } = await import('./app.ts');
      await runDirectGate(pathsOf(values), log);
      return EXIT.ok;
    }
    case 'try': {
      const { own, words } = splitTry(args);
      const { values } = parseArgs({ args: own, options: { ...COMMON, user: { type: 'string' } } });
      if (words.length === 0)
        throw new CommandError(EXIT.usage, 'Say what to rehearse: identree try systemctl restart nginx');
      const { tryCommand } = await import('./gate/rehearse.ts');
      return tryCommand(pathsOf(values), { user: values.user ?? null, words: words.length }, process.stdout);
    }
    case 'setup': {
      const options = {
        ...COMMON,
        pam: { type: 'string' },
        sssd: { type: 'boolean' },
        'sudo-ldap': { type: 'boolean' },
        'host-access': { type: 'boolean' },
        'start-tls': { type: 'boolean' },
        'allow-plain-ldap': { type: 'boolean' },
        force: { type: 'boolean' },
        undo: { type: 'boolean' },
        'dry-run': { type: 'boolean' },
      } as const;
      const { values } = parseArgs({ args, options });
      needRoot();
      const { setupCommand } = await import('./setup/run-setup.ts');
      return setupCommand(
        pathsOf(values),
        {
          pam: values.pam ?? null,
          sssd: values.sssd ?? false,
          sudoLdap: values['sudo-ldap'] ?? false,
          hostAccess: values['host-access'] ?? false,
          startTls: values['start-tls'] ?? false,
          allowPlainLdap: values['allow-plain-ldap'] ?? false,
          force: values.force ?? false,
          undo: values.undo ?? false,
          dryRun: values['dry-run'] ?? false,
        },
        { print, log },
      );
    }
    case 'status':
    case 'doctor': {
      const { values } = parseArgs({ args, options: { ...COMMON, json: { type: 'boolean' } } });
      const paths = pathsOf(values);
      needRootFor(paths);
      const { statusCommand } = await import('./status/status.ts');
      return statusCommand(paths, { json: values.json ?? false }, print);
    }
    case 'renew-cert': {
      const paths = pathsOf(parseArgs({ args, options: COMMON }).values);
      needRootFor(paths);
      const { renewCertCommand } = await import('./certificates/renew-now.ts');
      return renewCertCommand(paths, log, print);
    }
    case 'verify-approval': {
      const options = { ...COMMON, trust: { type: 'string' }, json: { type: 'boolean' } } as const;
      const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
      const [file, ...more] = positionals;
      if (file === undefined || more.length > 0)
        throw new CommandError(EXIT.usage, 'Name one file: identree verify-approval FILE');
      const { stateFiles } = await import('./paths.ts');
      const { verifyApprovalCommand } = await import('./audit/verify-approval.ts');
      const trust = values.trust ?? stateFiles(pathsOf(values).state).trust;
      return verifyApprovalCommand(file, trust, { json: values.json ?? false }, print);
    }
    case '--version':
    case '-v':
    case 'version':
      print(`identree ${AGENT_VERSION}`);
      return EXIT.ok;
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(HELP);
      return EXIT.ok;
    case undefined:
      process.stderr.write(HELP);
      return EXIT.usage;
    default:
      throw new CommandError(EXIT.usage, `There is no command "${command}". See: identree --help`);
  }
}

function codeOf(error: unknown): number {
  if (error instanceof CommandError) return error.code;
  if (error instanceof ConfigError || error instanceof UntrustedFile || error instanceof NotEnrolled)
    return EXIT.config;
  if (error instanceof SocketError) return EXIT.busy;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_') ? EXIT.usage : EXIT.failed;
}

const [command, ...args] = process.argv.slice(2);
run(command, args).then(
  // Not by running dry: a report that is tried again in 15 s must not keep the person waiting.
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`identree: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(command === 'try' ? 3 : codeOf(error));
  },
);
