#!/usr/bin/env bash
# mklayer.sh OUT TOOLS - what every lab host has beside the distribution: identree as
# its installer leaves it, local people with sudo rules, and the tools of the tests.
# OUT is handed to mkhost.sh as LAB_LAYERS, so that hosts share one copy of the
# binaries and may still remove or replace their own.
#
#   alice, bob   may run anything with sudo        carol   may not
#   dave         no person behind this account
set -euo pipefail
out=$1 tools=$2
here=$(cd "$(dirname "$0")" && pwd)
image=$("$here/mkhost.sh" build)
rm -rf "$out"; mkdir -p "$out"
"$here/../../agent/packaging/install.sh" "$out"
mkdir -p "$out/etc/systemd/system/multi-user.target.wants"
ln -s /usr/lib/systemd/system/identree-agent.service "$out/etc/systemd/system/multi-user.target.wants/"
for tool in "$tools"/*; do install -D -m 755 "$tool" "$out/usr/local/lib/lab/$(basename "$tool")"; done

mkdir -p "$out/etc/sudoers.d" "$out/home"
for f in passwd group shadow; do cp -p "$image/etc/$f" "$out/etc/$f"; done
uid=2001
for name in alice bob carol dave; do
  printf '%s:x:%s:%s:%s:/home/%s:/bin/bash\n' "$name" $uid $uid "${name^}" "$name" >> "$out/etc/passwd"
  printf '%s:x:%s:\n' "$name" $uid >> "$out/etc/group"
  printf '%s:*:20000:0:99999:7:::\n' "$name" >> "$out/etc/shadow"
  install -d -m 755 -o $uid -g $uid "$out/home/$name"
  uid=$((uid + 1))
done
printf '%s ALL=(ALL:ALL) ALL\n' alice bob dave > "$out/etc/sudoers.d/lab-people"
chmod 440 "$out/etc/sudoers.d/lab-people"
