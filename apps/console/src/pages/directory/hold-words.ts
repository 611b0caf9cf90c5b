import type { Hold } from '../../server/api.ts';
import { listed, plural } from '../../words/text.ts';

type Detail<K extends Hold['kind']> = Extract<Hold, { kind: K }>['detail'];
type Member = Detail<'power_member'>['added'][number];

const SHORT = 3;

/** The account where there is one: that is what hosts know. */
export const nameOfMember = ({ account, username }: Member): string => account ?? username;

/** `12 people, 1 group and 30 memberships` */
export function vanishing({ users, groups, memberships }: Detail<'mass_change'>): string {
  return listed(
    [
      users.count > 0 ? plural(users.count, 'person', 'people') : '',
      groups.count > 0 ? plural(groups.count, 'group') : '',
      memberships.count > 0 ? plural(memberships.count, 'membership') : '',
    ].filter((part) => part !== ''),
  );
}

/** What a held change is, in one sentence without its full stop. */
export function titleOf(hold: Hold): string {
  switch (hold.kind) {
    case 'power_member': {
      const { added, count, group } = hold.detail;
      const who = count <= SHORT ? listed(added.map(nameOfMember)) : plural(count, 'person', 'people');
      return `${who} would join ${group}`;
    }
    case 'power_name': {
      const { gains, count, owner, name } = hold.detail;
      if (owner.kind === 'user') return `${owner.name} would get power by the name ${name}`;
      const who = count <= SHORT ? listed(gains.map(nameOfMember)) : plural(count, 'person', 'people');
      return `${who} would get power by the group name ${name}`;
    }
    case 'new_host':
      return `${hold.detail.host} is new, and power would come to it`;
    case 'host_report':
      return hold.state === 'confirmed'
        ? `What ${hold.detail.host} says about names is ignored`
        : `${hold.detail.host} says that it gives power to ${plural(hold.detail.count, 'newcomer')}`;
    case 'power_rule':
      return hold.detail.before.sudoCommands === undefined
        ? `${hold.detail.group} would get a sudo rule`
        : `The sudo rule of ${hold.detail.group} would change`;
    case 'binding': {
      const { from, to, person, returning } = hold.detail;
      if (returning) return `${from} was gone and would come back as ${to}`;
      return from === null ? `${person.username} would get the account ${to}` : `${from} would be renamed to ${to}`;
    }
    case 'mass_change':
      return `${vanishing(hold.detail) || 'Everything'} would vanish at once`;
  }
}

/** Whose the account is that somebody else would get; null when it is nobody's. */
export function ownerText({ owner, to }: Detail<'binding'>): string | null {
  if (owner === null) return null;
  const who = owner.kind === 'group' ? `the group ${owner.name ?? owner.subject}` : (owner.name ?? owner.subject);
  switch (owner.claim) {
    case 'has':
      return `The name ${to} belongs to ${who} now.`;
    case 'signs_in':
      return `${to} is the account of ${who}, who has signed in here with it and approves for it.`;
    case 'left':
      return `The name ${to} belonged to ${who} until lately.`;
  }
}

/** They gain nothing themselves: others may run commands as them. */
function isOnlyTarget(hold: Hold & { kind: 'power_member' | 'power_name' }): boolean {
  const { rules, runAs, local } = hold.detail;
  const claimed = hold.kind === 'power_member' && hold.detail.claims.sudoCommands !== undefined;
  return runAs.length > 0 && rules.length + local.length === 0 && !claimed;
}

/** What happens when the change is let through. */
export function consequence(hold: Hold): string {
  if ((hold.kind === 'power_member' || hold.kind === 'power_name') && isOnlyTarget(hold))
    return `Those whom the rules are for may then run commands as ${hold.detail.count === 1 ? 'this person' : 'each of these people'}.`;
  switch (hold.kind) {
    case 'power_member':
      return `${hold.detail.count === 1 ? 'They' : 'All of them'} may then do on your hosts what members of ${hold.detail.group} may.`;
    case 'power_name':
      return `${hold.detail.count === 1 ? 'They' : 'All of them'} may then do what is given to ${hold.detail.name}, by every rule and every file that names it.`;
    case 'new_host':
      return `Whoever these rules and files are for may then do it on ${hold.detail.host}.`;
    case 'host_report':
      return `What ${hold.detail.host} says about names and numbers then keeps nobody waiting any more, now or later. Whom its files name has on ${hold.detail.host}, and there only, what they give. Kept out, each newcomer is asked about.`;
    case 'power_rule':
      return `The new rule then holds for ${plural(hold.detail.count, 'member')} of ${hold.detail.group}.`;
    case 'binding':
      if (hold.detail.returning)
        return `They get the number of ${hold.detail.from} and with it every file that ${hold.detail.from} left on your hosts. Let it through only when it is the same person.`;
      return 'Whoever has an account has its files on every host, its sudo rules, and every local file that names it.';
    case 'mass_change':
      return 'sssd removes what vanishes from every host. Numbers of accounts are kept, should they come back.';
  }
}

/** What happens while nobody lets it through. */
export function meanwhile(hold: Hold): string {
  switch (hold.kind) {
    case 'power_member':
      return `For now hosts do not count ${hold.detail.count === 1 ? 'this person' : 'these people'} among the members. Everything else is up to date.`;
    case 'power_name':
      return hold.detail.owner.kind === 'user'
        ? 'For now this person is not served under the name. Everything else is up to date.'
        : 'For now the group keeps its old name, or hosts do not count these people among its members.';
    case 'new_host':
      return hold.detail.local.length > 0
        ? 'For now the directory does not answer this host, and patterns of rules do not mean it.'
        : 'For now patterns of rules do not mean this host.';
    case 'host_report':
      if (hold.state === 'confirmed') return 'Newcomers are served on all hosts, this one as well.';
      return hold.state === 'rejected'
        ? 'It counts: each newcomer whom it names is asked about.'
        : 'For now these newcomers are not served on any host. Whoever has root on this host may have made it say so.';
    case 'power_rule':
      return hold.detail.before.sudoCommands === undefined
        ? 'For now the group has no sudo rule.'
        : 'For now the rule holds as it was before.';
    case 'binding':
      return hold.detail.from === null || hold.detail.returning
        ? 'For now this person has no account on your hosts.'
        : `For now they keep the account ${hold.detail.from}.`;
    case 'mass_change':
      return 'For now hosts see nothing new from the source at all, not even additions.';
  }
}
