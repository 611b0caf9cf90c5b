import type { Host } from './lab.ts';

/** Everything that install.sh puts on a host, and the account of it that its init keeps. */
const EVERYTHING = `/usr/lib/identree/service disable
rm -rf /usr/bin/identree /usr/lib/identree /etc/identree /var/lib/identree /usr/lib/systemd/system/identree-agent.service \
  /usr/share/man/man8/identree.8 /usr/share/bash-completion/completions/identree
[ ! -d /run/systemd/system ] || systemctl daemon-reload`;

/** Takes away what hosts of the lab have of identree from the beginning. */
export const makeBare = (host: Host): Promise<string> => host.sh(EVERYTHING);

/** What of them is in a listing of {@link fileSystem}. */
export const isOfIdentree = (line: string): boolean =>
  / \/(usr\/bin|usr\/lib|etc|var\/lib)\/identree\b|\/identree-agent\.service|\/(man8\/identree\.8|completions\/identree)\b/.test(
    line,
  );

/** What changes on a machine that does nothing, and the books of dpkg about what it did. */
const OTHERS = [
  ...['/proc', '/sys', '/dev', '/run', '/tmp', '/var/tmp', '/var/log', '/var/cache', '/var/lib/dpkg'],
  ...['/var/lib/systemd', '/root', '/srv', '/home', '/etc/ld.so.cache', '/var/lib/sss', '/var/lib/sudo'],
];

/** Every path of the file system with kind, mode and owner; of files the sum of their bytes, of links where they lead. */
export async function fileSystem(host: Host): Promise<string[]> {
  const prune = OTHERS.map((path) => `-path ${path}`).join(' -o ');
  const listed = await host.sh(`{ find / -xdev \\( ${prune} \\) -prune -o -printf '%y %m %U:%G %p %l\\n'
    find / -xdev \\( ${prune} \\) -prune -o -type f -print0 | xargs -0 -r sha256sum; } | LC_ALL=C sort`);
  return listed.split('\n');
}
