import { type Given, type Grant, type Unread, unread } from './grant.ts';
import type { HostFiles } from './host-files.ts';

const GROUP_FILE = '/etc/group';
const PASSWD_FILE = '/etc/passwd';

/** Groups that are root by another name, by what the software of distributions lets them do. */
const POWERFUL: Record<string, { gives: string; withoutPassword: boolean }> = {
  // The daemon runs as root and mounts any folder of the host into a container of the asker's.
  docker: { gives: 'root on this host, through a container that mounts its files', withoutPassword: true },
  // The same, through a privileged container. `incus` itself confines its users; `incus-admin` does not.
  lxd: { gives: 'root on this host, through a privileged container', withoutPassword: true },
  'incus-admin': { gives: 'root on this host, through a privileged container', withoutPassword: true },
  // Machines of the system instance run as root chooses, and may be given the host's disks and files.
  libvirt: { gives: 'root on this host, through a virtual machine with its disks', withoutPassword: true },
  // Raw access to every partition, below the permissions of files.
  disk: { gives: 'every file of this host, through its disks', withoutPassword: true },
  // Only what can be guessed from the hashes; that takes time, and no password is asked for it.
  shadow: { gives: 'the password hashes of every account', withoutPassword: false },
};
// Left out on purpose. kvm: /dev/kvm runs a machine with nothing but what its user may open anyway. adm and
// systemd-journal: read logs, change nothing. video, audio, plugdev, netdev: devices, asked through polkit where it
// matters. sudo, wheel, admin: have what sudoers, polkit and PAM give them, and are found there.

interface Line {
  fields: string[];
  line: number;
}

const lines = (text: string): Line[] =>
  text.split('\n').map((content, index) => ({ fields: content.trim().split(':'), line: index + 1 }));

const LOOK = `getent group ${Object.keys(POWERFUL).join(' ')} shows their members.`;
const unreadFile = (file: string, problem: string): Unread => unread('group', { file, line: null }, problem, LOOK);

/** Groups of this host that give power to their members, also those without any: a directory may serve one of the name. */
export async function powerfulGroups(files: HostFiles): Promise<Given[]> {
  const group = await files.read(GROUP_FILE);
  if (group === null || 'problem' in group) return [];
  return lines(group.text).flatMap(({ fields: [name = ''], line }): Given[] => {
    if (!Object.hasOwn(POWERFUL, name)) return [];
    const { gives, withoutPassword } = POWERFUL[name]!;
    return [
      { kind: 'group', who: { type: 'group', name }, except: [], gives, withoutPassword, file: GROUP_FILE, line },
    ];
  });
}

/** Members, in /etc/group or by their own group in /etc/passwd, of groups that give power. Those of a directory are not local. */
export async function groupGrants(files: HostFiles): Promise<Grant[]> {
  const group = await files.read(GROUP_FILE);
  if (group === null) return [];
  if ('problem' in group) return [unreadFile(GROUP_FILE, group.problem)];
  const passwd = (await files.read(PASSWD_FILE)) ?? { text: '' };
  const grants: Grant[] = 'problem' in passwd ? [unreadFile(PASSWD_FILE, passwd.problem)] : [];
  const accounts = 'problem' in passwd ? [] : lines(passwd.text);
  for (const { fields, line } of lines(group.text)) {
    const [name = '', , gid = '', members = ''] = fields;
    if (!Object.hasOwn(POWERFUL, name)) continue;
    const give = (user: string, file: string, at: number): Given => {
      const { gives, withoutPassword } = POWERFUL[name]!;
      const who = { type: 'user' as const, name: user };
      return { kind: 'group', who, except: [], gives: `${gives} (group ${name})`, withoutPassword, file, line: at };
    };
    const named = members.split(',').filter((user) => user !== '' && user !== 'root');
    grants.push(...named.map((user) => give(user, GROUP_FILE, line)));
    for (const { fields: account, line: at } of accounts)
      if (gid !== '' && account[3] === gid && account[2] !== '0') grants.push(give(account[0]!, PASSWD_FILE, at));
  }
  return grants;
}
