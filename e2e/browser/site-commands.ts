import type { HostRecord } from '#shared/decision.ts';
import type { HostCheck } from '#shared/host-checks.ts';
import type { RunRequest } from '#shared/host-run.ts';
import type { SealedPassword } from '#shared/sealed-password.ts';

/** What tests ask of the server process: to be the host, the clock, and the hand that brings about rare states. */
export interface SiteCommands {
  /** The source says something else now, or something that is no directory at all. Resolves when hosts see it. */
  directory(input: DirectoryContent | { raw: string }): null;
  /** What a host with the service account finds. */
  ldap(input: { filter: string; attributes: string[] }): Record<string, string | string[]>[];
  /** A host asks. Fields of the record replace those of a plain `sudo systemctl restart nginx`. */
  ask(input: { user: string; host?: string; record?: Partial<HostRecord> }): { id: string; code: string };
  /** The host tells what it did. */
  outcome(input: { id: string; outcome: 'granted' | 'refused'; detail?: string | null }): null;
  /** The host tells what sudo did with the command. */
  run(input: { id: string; run: RunRequest }): null;
  /**
   * The host asks for `sudo id` of the account `robot`, which the policy of this town answers by itself, and tells then that
   * it ran it once more by the grant: with these fields other than in what was granted.
   */
  useGrant(input: { other?: Partial<HostRecord>; run: RunRequest }): { code: string; seq: number };
  /** The host withdraws. */
  cancel(input: { id: string }): null;
  /** What the server holds about a request. */
  look(input: { id: string }): {
    status: string;
    class: string | null;
    reason: string | null;
    hasVerdict: boolean;
    events: string[];
  };
  /** Names of the newest events, oldest first. */
  events(input: { last: number }): { event: string; username: string; data: Record<string, unknown> }[];
  /** The time of a request is over. */
  expire(input: { id: string }): null;
  /** A person's sign-ins are older than they are. */
  ageSignIn(input: { username: string; ms: number }): null;
  /** Sets columns of a host, for states that take hours or an attack to come about. */
  setHost(input: { hostname: string; set: Record<string, string | number | null> }): null;
  /** A host that enrolled with the shared secret and waits. */
  waitingHost(input: { hostname: string }): { fingerprint: string };
  /** A host hands over its break-glass password, and says that it has it. */
  keepPassword(input: { hostname: string } & ({ password: string } | { sealed: SealedPassword })): null;
  /** A host tells of a use of its break-glass password that was half an hour ago, and of which it told nothing before. */
  useBreakGlass(input: { hostname: string; record: Partial<HostRecord> }): null;
  /** The receiver of the audit log refuses the event of this number for good. */
  refuse(input: { seq: number; reason: string }): null;
  /** A host says with its heartbeat what it found when it looked at itself. */
  found(input: { hostname: string; lines: HostCheck[] }): null;
  /** A host says how many entries its journal of break-glass uses has. */
  journal(input: { hostname: string; entries: number }): null;
  /** An operator takes a step towards another authority for certificates of hosts. */
  authority(input: { step: ['rotate'] | ['activate', '--force'] }): null;
  /** One person claims the account of another. */
  claim(input: { account: string; by: string }): null;
}

export interface DirectoryContent {
  users: { username: string; id?: string; claims?: Record<string, string> }[];
  groups: { name: string; members: string[]; claims?: Record<string, string> }[];
}

export type CommandName = keyof SiteCommands;

export type SiteMessage =
  | { kind: 'ready'; url: string }
  | { kind: 'failed'; message: string }
  | { kind: 'done'; id: number; result: unknown }
  | { kind: 'error'; id: number; message: string };

export interface SiteCall {
  id: number;
  name: CommandName;
  input: unknown;
}

/** Everybody who can sign in. Tests take fresh ones, so that none sees what another left behind. */
export const NAMED = [
  { username: 'alice', name: 'Alice Ahlberg', groups: ['developers'] },
  { username: 'bob', name: 'Bob Brandt', groups: ['developers'] },
  { username: 'olga', name: 'Olga Operator', groups: ['identree-admins'] },
] as const;

export const FRESH = Array.from({ length: 60 }, (_, i) => `user${i + 1}`);
export const FRESH_ADMINS = Array.from({ length: 40 }, (_, i) => `admin${i + 1}`);

/** Hosts and what the policy says about them. */
export const HOSTS = ['web1.example.com', 'lab1.example.com', 'db1.example.com'] as const;
export const SHARED_SECRET = 'a shared secret of the browser tests, 32+';

export const BASE_DN = 'dc=example,dc=com';

/** What differs where a test names the town; every other one has people from a file, and rules of both kinds. */
export const TOWNS: Record<string, Record<string, string>> = {
  claims: { IDENTREE_SUDO_SOURCE: 'claims', IDENTREE_BREAKGLASS_SECOND_PERSON: 'true' },
  bridge: { IDENTREE_DIRECTORY_SOURCE: 'none', IDENTREE_SUDO_SOURCE: 'store' },
  // A receiver that nobody runs.
  quiet: { IDENTREE_AUDIT_SYSLOG_URL: 'tcp://127.0.0.1:9' },
  notified: { IDENTREE_NOTIFY_ALLOW_CIDRS: '127.0.0.0/8' },
  granting: { IDENTREE_OFFLINE_GRANT: '1h' },
  // Receivers of the test are on loopback.
  told: { IDENTREE_NOTIFY_ALLOW_CIDRS: '127.0.0.1' },
  undirected: { IDENTREE_LDAP_ENABLED: 'false' },
};

/** The directory that a town starts with: Alice is the only one with root. */
export const FIRST_DIRECTORY: DirectoryContent = {
  users: ['alice', 'bob', 'carol', 'dave'].map((username) => ({ username })),
  groups: [
    {
      name: 'operators',
      members: ['alice'],
      claims: { sudoCommands: '/usr/bin/systemctl restart nginx, /usr/bin/journalctl', sudoHosts: 'web1.example.com' },
    },
    { name: 'web', members: ['bob', 'carol'] },
  ],
};
