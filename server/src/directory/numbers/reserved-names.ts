const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** Accounts that distributions bring, and words that sudoers gives a meaning. Lower case. */
const USERS = new Set(
  words(`
    root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup adm shutdown
    halt operator gopher ftp ftpuser nfsnobody nscd ntp ntpd chrony rpc rpcuser rpcbind postfix postdrop exim debian-exim
    smmsp smmta sshd sssd dbus messagebus avahi avahi-autoipd colord polkitd policykit pulse rtkit saned usbmux uuidd
    tcpdump tss geoclue gdm lightdm sddm haldaemon abrt apt syslog systemd statd unbound named bind dnsmasq libvirt-qemu
    libuuid lxd landscape pollinate fwupd-refresh kernoops whoopsie speech-dispatcher hplip cups-pk-helper rabbitmq
    postgres mysql mariadb redis mongodb memcache memcached nginx apache http httpd haproxy squid tomcat jenkins gitlab
    git grafana prometheus elasticsearch kibana zabbix nagios docker dockremap containerd podman kube etcd consul vault
    admin administrator sudo wheel toor all defaults identree sssd_auth clevis setroubleshoot cockpit-ws cockpit-wsinstance
    flatpak insights tang stunnel oprofile saslauth mailnull ldap openldap slapd pcp radvd qemu vagrant ubuntu ec2-user
    centos debian fedora cloud-user core __proto__
  `),
);

/** Groups that distributions bring. Some are as good as root; local sudoers files name others. Lower case. */
const GROUPS = new Set(
  words(`
    root daemon bin sys adm tty disk lp mail news uucp man proxy kmem dialout fax voice cdrom floppy tape sudo audio dip
    www-data backup operator list irc src gnats shadow utmp video sasl plugdev staff games users nogroup nobody wheel
    input kvm render sgx crontab messagebus ssh ssh_keys _ssh docker lxd lxc libvirt libvirtd libvirt-qemu podman incus
    incus-admin admin administrators wireshark netdev bluetooth lpadmin sambashare scanner pulse pulse-access rtkit
    polkitd sssd dbus avahi nm-openconnect ntp chrony tss tcpdump postfix postdrop mysql postgres redis nginx apache
    systemd systemd-journal lock dbus floppy mem utempter all defaults identree sudoers wheelnopw nixbld ubuntu
    __proto__
  `),
);

/**
 * Groups that are root, or nearly, wherever they are: a user's private group would be one of them. Lower case. Each with
 * what gives it that.
 */
const POWER_GROUPS: Record<string, string> = {
  root: 'gid 0',
  sudo: '/etc/sudoers of Debian and Ubuntu: %sudo',
  wheel: '/etc/sudoers of Red Hat, SUSE, Arch and Alpine: %wheel',
  admin: '/etc/sudoers of Ubuntu: %admin',
  'google-sudoers':
    '/etc/sudoers.d/google_sudoers of Google Compute Engine images: %google-sudoers, without a password',
  docker: 'the socket of the Docker daemon, which runs as root',
  lxd: 'the socket of LXD, which runs privileged containers',
  'incus-admin': 'the socket of Incus, which runs privileged containers',
  libvirt: 'the socket of libvirtd and its polkit rule: machines with the disks of the host',
  disk: 'block devices below /dev',
  shadow: '/etc/shadow on Debian',
  kmem: '/dev/mem and /dev/kmem',
  kvm: '/dev/kvm',
  adm: '/var/log on Debian',
  'systemd-journal': '/var/log/journal',
};

/**
 * Accounts that images of clouds come with, and give root without a password. Lower case. Each with the file that does.
 */
const SHIPPED_USERS: Record<string, string> = {
  'ssm-user': '/etc/sudoers.d/ssm-agent-users, made by the SSM agent of Amazon images',
  vagrant: '/etc/sudoers.d/vagrant of Vagrant boxes',
  // The users of config/cloud.cfg.tmpl of cloud-init, which writes /etc/sudoers.d/90-cloud-init-users for them.
  almalinux: 'cloud-init on AlmaLinux',
  alpine: 'cloud-init on Alpine',
  arch: 'cloud-init on Arch',
  'cloud-user': 'cloud-init on Red Hat Enterprise Linux and CentOS Stream',
  cloudlinux: 'cloud-init on CloudLinux',
  debian: 'cloud-init on Debian',
  'ec2-user': 'cloud-init on Amazon Linux',
  eurolinux: 'cloud-init on EuroLinux',
  fedora: 'cloud-init on Fedora',
  gentoo: 'cloud-init on Gentoo',
  mariner: 'cloud-init on Mariner',
  miraclelinux: 'cloud-init on MIRACLE LINUX',
  omv: 'cloud-init on OpenMandriva',
  opencloudos: 'cloud-init on OpenCloudOS',
  openeuler: 'cloud-init on openEuler',
  rocky: 'cloud-init on Rocky Linux',
  suse: 'cloud-init on SUSE',
  tencentos: 'cloud-init on TencentOS',
  ubuntu: 'cloud-init on Ubuntu',
  virtuozzo: 'cloud-init on Virtuozzo',
};

const PREFIXES = ['systemd-', 'identree'];

/** Whether a user name would meet an account of the system. */
export function isReservedUser(name: string, more: readonly string[]): boolean {
  const folded = name.toLowerCase();
  return (
    USERS.has(folded) ||
    Object.hasOwn(SHIPPED_USERS, folded) ||
    Object.hasOwn(POWER_GROUPS, folded) ||
    folded.startsWith('_') ||
    PREFIXES.some((prefix) => folded.startsWith(prefix)) ||
    more.includes(folded)
  );
}

/** Whether a group name would meet a group of the system. */
export function isReservedGroup(name: string, more: readonly string[]): boolean {
  const folded = name.toLowerCase();
  return (
    GROUPS.has(folded) ||
    Object.hasOwn(POWER_GROUPS, folded) ||
    PREFIXES.some((prefix) => folded.startsWith(prefix)) ||
    more.includes(folded)
  );
}
