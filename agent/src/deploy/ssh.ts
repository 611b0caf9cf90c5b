import { type ChildProcess, spawn } from 'node:child_process';
import { terminalLine } from '#shared/visible-text.ts';

/** How the operator reaches hosts, beside what their own ssh_config says. */
export interface SshOptions {
  /** Instead of ~/.ssh/config. */
  config: string | null;
  /** As of `ssh -J`. */
  jump: string | null;
}

const set = (options: Readonly<Record<string, string>>): string[] =>
  Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);

/** What holds whatever somebody has in their ssh_config. */
const ALWAYS = {
  // A connection that is open already was perhaps made without a look at the key of the host.
  ControlPath: 'none',
  // A host that is not ours yet, or not any more, must not sign with the operator's keys.
  ForwardAgent: 'no',
  GSSAPIDelegateCredentials: 'no',
  ForwardX11: 'no',
  ClearAllForwardings: 'yes',
  PermitLocalCommand: 'no',
  RemoteCommand: 'none',
  // What ssh says about a key and a host is read.
  LogLevel: 'INFO',
  ConnectTimeout: '15',
  ServerAliveInterval: '15',
  ServerAliveCountMax: '4',
};
const UNATTENDED = { ...ALWAYS, BatchMode: 'yes', StrictHostKeyChecking: 'yes' };
/** Only the key of the host is asked about. */
const ASKING = {
  ...ALWAYS,
  BatchMode: 'no',
  StrictHostKeyChecking: 'ask',
  PasswordAuthentication: 'no',
  KbdInteractiveAuthentication: 'no',
};

/** Arguments of ssh. @param how `verbose`: unattended, and it says which key the host shows */
export function sshArguments(
  { config, jump }: SshOptions,
  how: 'unattended' | 'verbose' | 'asking',
  destination: string,
  command: string,
): string[] {
  return [
    ...(config === null ? [] : ['-F', config]),
    ...(jump === null ? [] : ['-J', jump]),
    '-T',
    ...set({ ...(how === 'asking' ? ASKING : UNATTENDED), ...(how === 'verbose' ? { LogLevel: 'DEBUG1' } : {}) }),
    '--',
    destination,
    command,
  ];
}

/** Why a host could not be talked to. */
export type SshProblem = 'host_key_unknown' | 'host_key_changed' | 'not_admitted' | 'unreachable' | 'ssh_failed';

const PROBLEMS: readonly [SshProblem, RegExp][] = [
  ['host_key_changed', /REMOTE HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY/],
  ['host_key_unknown', /Host key verification failed|host key is known for/],
  ['not_admitted', /Permission denied|Too many authentication failures/],
  [
    'unreachable',
    /Could not resolve hostname|Connection (refused|timed out|closed|reset)|No route to host|Network is unreachable|Operation timed out|not responding/,
  ],
];

/** What ssh itself says about its end with code 255. */
export const sshProblem = (said: string): SshProblem =>
  PROBLEMS.find(([, pattern]) => pattern.test(said))?.[0] ?? 'ssh_failed';

/** The key that a host showed, from a line of `ssh -v`. */
export function shownKey(line: string): string | null {
  const [, type, fingerprint] = /^debug1: Server host key: (\S+) (SHA256:\S+)/.exec(line) ?? [];
  return type === undefined ? null : `${type} ${fingerprint}`;
}

/** A connection to a host on which a command runs. */
export interface Session {
  /** What the command says, line by line. */
  readonly lines: AsyncIterable<string>;
  /** What ssh says, and what it runs there says on standard error. */
  readonly asides: AsyncIterable<string>;
  write(bytes: string | Uint8Array): void;
  /** Nothing more is written. */
  end(bytes?: string | Uint8Array): void;
  /** Exit code; null when ssh was killed. 127: there is no ssh. */
  readonly ended: Promise<number | null>;
  kill(): void;
}

export type OpenSession = (destination: string, command: string) => Session;

/** The longest line that is read as one, characters. */
const MAX_LINE = 4096;
/** How many lines are shown of what is said while a person is asked about a key. */
const MOST_ASIDES = 50;

/** Lines as they come. A host may send what it likes: one that never ends is cut. */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
    if (rest.length > MAX_LINE) {
      yield rest;
      rest = '';
    }
  }
  if (rest !== '') yield rest;
}

const endOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', (code) => resolve(code));
  });

/** OpenSSH of this machine, with the keys and the known hosts of whoever runs it. */
export function createSsh(options: SshOptions): {
  open: OpenSession;
  /**
   * Lets ssh show the key of a host on this terminal, and ask. What is accepted, ssh writes into its known hosts.
   * @param show gets what is said beside that, a line for a terminal
   */
  ask(destination: string, show: (line: string) => void): Promise<void>;
  /** Which key a host shows, as kind and fingerprint; nothing is accepted. */
  look(destination: string): Promise<string | null>;
} {
  return {
    open(destination, command) {
      // In a session of its own: Ctrl-C is for this program, which lets begun hosts finish; and nobody asks on its terminal.
      const child = spawn('ssh', sshArguments(options, 'unattended', destination, command), {
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const ended = endOf(child);
      child.stdin.on('error', () => undefined);
      return {
        lines: linesOf(child.stdout),
        asides: linesOf(child.stderr),
        write: (bytes) => void child.stdin.write(bytes),
        end: (bytes) => void (bytes === undefined ? child.stdin.end() : child.stdin.end(bytes)),
        ended,
        kill: () => void child.kill('SIGKILL'),
      };
    },
    async ask(destination, show) {
      // ssh asks on the terminal itself. A host whose key is known already gets no line that is typed, and none of its own
      // reaches the terminal as it is: it could pass for ssh, and ask for a passphrase.
      const child = spawn('ssh', sshArguments(options, 'asking', destination, 'true'), {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const ended = endOf(child);
      let left = MOST_ASIDES;
      for await (const line of linesOf(child.stderr)) if (left-- > 0) show(terminalLine(line).slice(0, MAX_LINE));
      await ended;
    },
    async look(destination) {
      const child = spawn('ssh', sshArguments(options, 'verbose', destination, 'true'), {
        detached: true,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const ended = endOf(child);
      let key: string | null = null;
      // The last one is that of the host itself: those before are of hosts that are jumped over.
      for await (const line of linesOf(child.stderr)) key = shownKey(line) ?? key;
      await ended;
      return key;
    },
  };
}
