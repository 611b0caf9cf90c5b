#!/bin/sh
# Puts what `npm run build:agent` made in place. Changes no login and starts nothing.
#   agent/packaging/install.sh [DESTDIR]
set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd)
dist=$here/../../dist
dest=${1:-}

for file in "$dist/agent/identree" "$dist/native/identree-pam" "$dist/native/identree_sudo.so" \
  "$dist/native/pam_identree.so"; do
  [ -x "$file" ] || { echo "$file is missing. Build it first: npm run build:agent" >&2; exit 1; }
done
# Checked first too: a host is installed whole or not at all.
for file in "$here/../../docs/man/identree.8" "$here/identree-agent.service" "$here/client.conf.example"; do
  [ -r "$file" ] || { echo "$file is missing. Pack it with the rest: docs/hosts.md says how" >&2; exit 1; }
done

install -d -m 0755 "$dest/usr/bin" "$dest/usr/lib/identree" "$dest/usr/lib/systemd/system" \
  "$dest/usr/share/man/man8" "$dest/usr/share/bash-completion/completions" "$dest/etc/identree" "$dest/etc/identree/tls"
install -d -m 0700 "$dest/var/lib/identree"
install -m 0755 "$dist/agent/identree" "$dest/usr/bin/identree"
install -m 0755 "$dist/native/identree-pam" "$dest/usr/lib/identree/identree-pam"
install -m 0644 "$dist/native/identree_sudo.so" "$dest/usr/lib/identree/identree_sudo.so"
install -m 0644 "$dist/native/pam_identree.so" "$dest/usr/lib/identree/pam_identree.so"
install -m 0644 "$here/identree-agent.service" "$dest/usr/lib/systemd/system/identree-agent.service"
install -m 0644 "$here/client.conf.example" "$dest/etc/identree/client.conf.example"
install -m 0644 "$here/../../docs/man/identree.8" "$dest/usr/share/man/man8/identree.8"
"$dist/agent/identree" completions bash > "$dest/usr/share/bash-completion/completions/identree"
chmod 0644 "$dest/usr/share/bash-completion/completions/identree"

if [ -z "$dest" ]; then
  echo 'Next: write /etc/identree/client.conf, then
  identree enroll --token-file FILE
  systemctl daemon-reload && systemctl enable --now identree-agent
  identree status
  identree setup --pam sudo,sudo-i,sshd    (with --sssd: people, groups and sudo rules too)'
fi
