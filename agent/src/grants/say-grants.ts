import { terminalLine } from '#shared/visible-text.ts';
import type { SudoGate } from '../setup/sudo-gate.ts';
import { type Given, type Grant, isUnread, type Who } from './grant.ts';

const WHO: Record<Who['type'], (name: string) => string> = {
  user: (name) => name,
  uid: (name) => `uid ${name}`,
  group: (name) => `group ${name}`,
  gid: (name) => `group number ${name}`,
  netgroup: (name) => `netgroup ${name}`,
  'non-unix group': (name) => `group ${name} of a plugin of sudo`,
  everyone: () => 'everyone',
};
const nameOf = ({ type, name }: Who): string => WHO[type](name);

const VIA: Record<Given['kind'], string> = {
  sudoers: 'sudo, ',
  polkit: 'polkit, ',
  doas: 'doas, ',
  wheel: '',
  group: '',
};

function line(grant: Grant): string {
  const at = `${grant.file}${grant.line === null ? '' : `:${grant.line}`}`;
  if (isUnread(grant)) return terminalLine(`? ${at}: ${grant.unread}`);
  const but = grant.except.length === 0 ? '' : `, but not ${grant.except.map(nameOf).join(', ')}`;
  const sign = grant.withoutPassword ? '!' : ' ';
  return terminalLine(`${sign} ${nameOf(grant.who)}${but}: ${grant.gives} (${VIA[grant.kind]}${at})`);
}

const asks = {
  plugin: {
    unasked:
      'Without a password, and asked by identree all the same: its plugin is asked for every command that sudo runs',
    asked: 'By a rule of sudo, asked by identree',
  },
  pam: {
    unasked: 'Without a password, and with no request to identree: sudo asks PAM nothing for these',
    asked: 'By a rule of sudo, asked by identree where it is in the PAM stack of sudo',
  },
  none: {
    unasked: 'Without a password, and with no request to identree',
    asked: 'By a rule of sudo, with no request to identree: it is not set up for sudo',
  },
} as const;

/**
 * Grants for a person who sets up or looks after this host, under headings that say whether identree is asked. `gate`
 * null: it is not set up for sudo. Lines
 * that begin with `!` need no password, those with `?` could not be read.
 */
export function sayGrants(grants: readonly Grant[], options: { gate: SudoGate | null }): string[] {
  const { unasked, asked } = asks[options.gate ?? 'none'];
  const given = grants.filter((grant): grant is Given => !isUnread(grant));
  const sudo = given.filter(({ kind }) => kind === 'sudoers');
  const others = given.filter(({ kind }) => kind !== 'sudoers');
  const parts: [heading: string, grants: readonly Grant[]][] = [
    [unasked, sudo.filter(({ withoutPassword }) => withoutPassword)],
    ['Past sudo, without a password, and with no request to identree', others.filter((one) => one.withoutPassword)],
    ['Could not be read: look at it yourself', grants.filter(isUnread)],
    [asked, sudo.filter(({ withoutPassword }) => !withoutPassword)],
    ['Past sudo, with no request to identree', others.filter((one) => !one.withoutPassword)],
  ];
  return parts.flatMap(([heading, list]) =>
    list.length === 0 ? [] : [`${heading}:`, ...list.map((one) => `  ${line(one)}`)],
  );
}
