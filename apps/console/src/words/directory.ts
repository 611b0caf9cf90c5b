import type { DirectoryStatus, Lint } from '../server/api.ts';

export const SOURCES: Record<NonNullable<DirectoryStatus['source']> | 'none', string> = {
  pocketid: 'PocketID',
  scim: 'What SCIM clients push',
  file: 'A file on the server',
  none: 'None: bridge mode, sudo rules only',
};

export const SUDO_SOURCES: Record<DirectoryStatus['sudoSource'], string> = {
  claims: 'Claims of groups',
  store: 'This console',
  both: 'Claims of groups and this console',
};

type Tone = 'green' | 'indigo' | 'yellow' | 'red' | 'gray';

/** How the directory stands, for a reader who does not know its parts. */
export function stateOf(status: DirectoryStatus): { tone: Tone; title: string; text: string } {
  switch (status.state) {
    case 'fresh':
      return status.problem === null
        ? { tone: 'green', title: 'Up to date', text: 'Hosts get what the source says.' }
        : {
            tone: 'yellow',
            title: 'The last fetch failed',
            text: 'Hosts get what the source said before. The server tries again by itself.',
          };
    case 'cached':
      return {
        tone: 'indigo',
        title: 'Served from the last good copy',
        text: 'The server has started and not heard from the source yet. Hosts get what was served last.',
      };
    case 'stale':
      return {
        tone: 'yellow',
        title: 'Out of date',
        text: 'The source has not delivered for longer than it should. Hosts still get the last good directory; people who left may still have access.',
      };
    case 'broken':
      return {
        tone: 'red',
        title: 'Off the air',
        text: 'The map of account numbers cannot be trusted, so nothing is served: files could change hands. Hosts keep what sssd has cached.',
      };
    case 'cold':
      return {
        tone: 'red',
        title: 'Nothing is served',
        text: 'There is no directory yet, or the last good one is too old. Hosts are told to wait, and keep what sssd has cached.',
      };
  }
}

/** What each kind of finding means, and what to do about it. In the order in which they are shown. */
export const FINDINGS: Record<Lint['code'], { title: string; means: string; todo: string }> = {
  sudo_unauthenticated: {
    title: 'Runs without approval',
    means: 'Commands of these rules are not approved by anybody where the gate is the PAM stage.',
    todo: 'Take !authenticate or NOPASSWD out of the options, unless it is meant.',
  },
  sudo_overlap_auth: {
    title: 'One person, with and without approval',
    means: 'Somebody has rules of both kinds for sudo to choose from. The higher order wins.',
    todo: 'Give the stricter rule the higher order, or separate whom they are for.',
  },
  sudo_equals_all: {
    title: 'As good as unrestricted root',
    means: 'The command can start any other: shells, editors, package managers and interpreters do.',
    todo: 'Name a narrower command with its arguments, or treat the rule as ALL.',
  },
  sudo_argument_wildcard: {
    title: 'Wildcard in the arguments',
    means: 'A wildcard there also matches blanks, further options and other paths.',
    todo: 'Write the arguments out, or use one rule for each.',
  },
  sudo_argument_quoted: {
    title: 'Quoted arguments',
    means:
      'A shell takes the quotes off before sudo sees the arguments, so the command is never allowed as it is meant.',
    todo: 'Write the arguments as the program gets them, with a blank where one is.',
  },
  sudo_host_unmatched: {
    title: 'Reaches no host',
    means:
      'No enrolled host has such a name, so the rule reaches fewer hosts than it seems, or more if it was to except it.',
    todo: 'Check the spelling, or enrol the host.',
  },
  sudo_rule_dropped: {
    title: 'Not served',
    means: 'What is left of the rule would mean something else than was written, so hosts do not get it at all.',
    todo: 'Correct the value that is named.',
  },
  sudo_value_rejected: {
    title: 'Value left out',
    means: 'Hosts get the rule without this value: sudo would not take it, or it would open a way around the approval.',
    todo: 'Correct or remove the value.',
  },
  name_requarantined: {
    title: 'Name kept free',
    means:
      'The name was somebody else’s until lately. Files on hosts may still name it, so nobody else gets it for a while.',
    todo: 'Wait, or release the name once you know that no host gives it anything.',
  },
  name_collision: {
    title: 'Name taken',
    means: 'Somebody else already has this account or group name. Whoever came later is not served.',
    todo: 'Rename one of them at the source.',
  },
  group_shadows_upg: {
    title: 'Group named like a person',
    means: 'A person’s private group has that name already, so this group is not served.',
    todo: 'Rename the group at the source.',
  },
  record_left_out: {
    title: 'Record left out',
    means: 'The record cannot be read as it is written, so this person or group is not served. Everything else is.',
    todo: 'Correct what is named in the source. Until then the person has no account, or the group no members.',
  },
  field_left_out: {
    title: 'Detail left out',
    means: 'A name for people or an address cannot be read, so the record is served without it.',
    todo: 'Correct it in the source, or take it out there.',
  },
  group_nested: {
    title: 'Group in a group',
    means:
      'Hosts get the people of a group, not the groups in it: whoever is a member only by such a group is left out.',
    todo: 'Make the people themselves members of the outer group at the source.',
  },
  nobody_linked: {
    title: 'Nobody is who the source means',
    means:
      'People sign in, and by the claim that is compared none of them is anybody whom the source knows: accounts are nobody’s.',
    todo: 'Set IDENTREE_OIDC_USER_ID_CLAIM to the claim that says the source’s identifier, or have the source send what is in sub.',
  },
  name_reserved: {
    title: 'Name of the system',
    means: 'The name belongs to the operating system or to sudo. Whoever had it could act as something else.',
    todo: 'Rename them at the source.',
  },
  name_invalid: {
    title: 'Not an account name',
    means: 'Linux has no such account or group names, so they are not served.',
    todo: 'Rename them at the source, or change IDENTREE_LDAP_USERNAME_POLICY.',
  },
  ids_exhausted: {
    title: 'No number left',
    means: 'The range of account numbers is used up, so they are not served.',
    todo: 'Raise IDENTREE_LDAP_UID_MAX.',
  },
  id_claim_refused: {
    title: 'Number that cannot be given',
    means: 'A claim asks for a number that is taken, was somebody else’s, or is outside the allowed range.',
    todo: 'Choose another number, or leave the choice to the server.',
  },
  ssh_key_rejected: {
    title: 'SSH key left out',
    means: 'The key is malformed, too weak, or of a kind that is not accepted.',
    todo: 'Put another public key there.',
  },
  shell_rejected: {
    title: 'Shell not accepted',
    means: 'The person gets the default shell.',
    todo: 'Correct the claim loginShell, or allow the shell in IDENTREE_LDAP_ALLOWED_SHELLS.',
  },
  home_rejected: {
    title: 'Home folder not accepted',
    means: 'The person gets the default home folder.',
    todo: 'Correct the claim homeDirectory.',
  },
  access_value_rejected: {
    title: 'Host left out',
    means: 'A value of accessHosts cannot be read, so it lets nobody onto any host.',
    todo: 'Correct the claim accessHosts.',
  },
  uidmap_export_failed: {
    title: 'Copy of the UID map not written',
    means:
      'The map in the database is current, but the file beside it is not. A restore from that file would be wrong.',
    todo: 'Check the disk and the permissions of IDENTREE_LDAP_UID_MAP_FILE.',
  },
};
