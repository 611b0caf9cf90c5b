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
for file in "$here/../../docs/man/identree.8" "$here/identree-agent.service" "$here/service.sh" "$here/init.sh" \
  "$here/client.conf.example"; do
  [ -r "$file" ] || { echo "$file is missing. Pack it with the rest: docs/hosts.md says how" >&2; exit 1; }
done

# A plugin that is not the one the agent was built with is refused by it, and every sudo with it.
plugin=$dist/native/identree_sudo.so
build=$(grep -ao 'identree plugin, build [0-9a-f]\{32\}' "$plugin" | cut -d ' ' -f 4)
digest=$(sha256sum "$plugin" | cut -d ' ' -f 1)
for part in "$build" "$digest"; do
  [ -n "$part" ] && grep -aqF "$part" "$dist/agent/identree" || {
    echo "$plugin does not belong to $dist/agent/identree. Build both again: npm run build:agent" >&2
    exit 1
  }
done

# What is put here is written down, for those who take it away again: identree uninstall.
files=
put() { # MODE SOURCE PATH
  install -D -m "$1" "$2" "$dest$3"
  files="$files$3
"
}

install -d -m 0755 "$dest/etc/identree" "$dest/etc/identree/tls"
install -d -m 0700 "$dest/var/lib/identree"
put 0755 "$dist/agent/identree" /usr/bin/identree
put 0755 "$dist/native/identree-pam" /usr/lib/identree/identree-pam
# Before the plugin: by it an agent that still runs knows that the new one belongs to the program it is replaced by.
put 0644 /dev/null /usr/lib/identree/identree_sudo.id
printf '%s %s\n' "$build" "$digest" > "$dest/usr/lib/identree/identree_sudo.id"
put 0644 "$dist/native/identree_sudo.so" /usr/lib/identree/identree_sudo.so
put 0644 "$dist/native/pam_identree.so" /usr/lib/identree/pam_identree.so
put 0644 "$here/identree-agent.service" /usr/lib/systemd/system/identree-agent.service
put 0755 /dev/null /usr/lib/identree/service
sed -e "/^@INIT@\$/{r $here/init.sh" -e 'd;}' "$here/service.sh" > "$dest/usr/lib/identree/service"
put 0644 "$here/client.conf.example" /etc/identree/client.conf.example
put 0644 "$here/../../docs/man/identree.8" /usr/share/man/man8/identree.8
put 0644 /dev/null /usr/share/bash-completion/completions/identree
"$dist/agent/identree" completions bash > "$dest/usr/share/bash-completion/completions/identree"
put 0644 /dev/null /usr/lib/identree/files
printf '%s' "$files" > "$dest/usr/lib/identree/files"

if [ -z "$dest" ]; then
  echo 'Next: write /etc/identree/client.conf (client.conf.example beside it says what goes there), then
  identree enroll --hostname NAME          (reads the token from standard input)
  /usr/lib/identree/service enable && /usr/lib/identree/service refresh
  identree doctor
  identree setup --pam sudo,sudo-i         (with --sssd: people, groups and sudo rules too)
  identree setup --confirm                 (in a second login, within ten minutes: else it is put back)'
fi
