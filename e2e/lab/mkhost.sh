#!/usr/bin/env bash
# mkhost.sh - disposable managed hosts (real systemd, sssd, sudo, PAM, sshd)
# on any Linux machine where you are root.  No docker, no systemd outside.
#
#   mkhost.sh build                 make (or find in the cache) the host image
#   mkhost.sh net                   make the lab bridge (server address .1) only
#   mkhost.sh up NAME [ADDR]        boot a host; ADDR defaults to the next free one
#   mkhost.sh exec NAME CMD...      run CMD in it as root (stdin/stdout/rc pass through)
#   mkhost.sh as NAME USER CMD...   run CMD in it as USER through a login shell
#   mkhost.sh put NAME SRC DST [MODE]   copy a file in (before or after boot)
#   mkhost.sh root NAME             print the path of its root file system
#   mkhost.sh addr NAME             print its address
#   mkhost.sh list                  names of the hosts that are up
#   mkhost.sh off NAME              turn it off; `up` starts it again with its disk
#   mkhost.sh down NAME | down-all  stop, unmount, forget
#   mkhost.sh purge                 down-all and drop the image cache
#
# Environment (all optional):
#   LAB_ID      0..255   lets several labs live side by side      (default 0)
#   LAB_NET     a.b.c    first three bytes of the lab subnet      (default 10.77.$LAB_ID)
#   LAB_CACHE   folder   image cache, worth keeping between runs  (default ~/.cache/identree-lab)
#   LAB_STATE   folder   running hosts                            (default $TMPDIR/identree-lab.$LAB_ID)
#   LAB_MODE    systemd | plain   what is PID 1 in the host       (default systemd if nspawn is there)
#   LAB_SUITE   Debian suite                                      (default bookworm)
#   LAB_MIRROR  Debian mirror URL              (default: the first one this machine's apt is set up with)
#   LAB_EXTRA   more packages, comma separated
#   LAB_SERVER_NAMES   names for the server address in the host's /etc/hosts
#   LAB_SERVER_ADDR    the address those names stand for          (default $LAB_NET.1)
#   LAB_LAYERS  folder[:folder]  laid over the image, read-only and shared by all hosts (see mklayer.sh)
#   LAB_FAST_DOWN=1    pull the plug instead of shutting down
set -euo pipefail

LAB_ID=${LAB_ID:-0}
LAB_NET=${LAB_NET:-10.77.$LAB_ID}
LAB_CACHE=${LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/identree-lab}
LAB_STATE=${LAB_STATE:-${TMPDIR:-/tmp}/identree-lab.$LAB_ID}
LAB_SUITE=${LAB_SUITE:-bookworm}
LAB_LAYERS=${LAB_LAYERS:-}
LAB_SERVER_NAMES=${LAB_SERVER_NAMES:-identree.example.com ldap.example.com}
LAB_UPPER_SIZE=${LAB_UPPER_SIZE:-512m}
BR=idl$LAB_ID                                  # bridge name, at most 15 characters
PKGS=sssd-ldap,sssd-tools,sssd-dbus,libnss-sss,libpam-sss,libsss-sudo,sudo
PKGS+=,openssh-server,openssh-client,auditd,cron,rsyslog
PKGS+=,systemd,systemd-sysv,dbus,libpam-systemd
PKGS+=,curl,ca-certificates,openssl,iproute2,procps,ldap-utils,python3,git,rsync${LAB_EXTRA:+,$LAB_EXTRA}

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }
need() { command -v "$1" >/dev/null || die "needs $1 (Debian package ${2:-$1})"; }
[ "$(id -u)" = 0 ] || die "must be root"
if [ -z "${LAB_MODE:-}" ]; then
  if command -v systemd-nspawn >/dev/null; then LAB_MODE=systemd; else LAB_MODE=plain; fi
fi

# The image's name is the hash of what goes into it, so a changed recipe is a
# new image and an unchanged one is always found again.
mirror() {
  [ -n "${LAB_MIRROR:-}" ] || LAB_MIRROR=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m1 '/debian/*$' | sed 's#/*$##')
}
recipe() { mirror; printf '%s\n' 4 "$LAB_SUITE" "$LAB_MIRROR" "$PKGS" "$(declare -f customize)"; }
image_key() { recipe | sha256sum | cut -c1-16; }

# Runs while the image is made; $1 is the image's root.
customize() {
  # sshd: passwords are not what this project is about, PAM conversations are.
  mkdir -p "$1/etc/ssh/sshd_config.d"
  printf '%s\n' 'UsePAM yes' 'KbdInteractiveAuthentication yes' 'PasswordAuthentication no' \
    'PermitRootLogin prohibit-password' 'UseDNS no' > "$1/etc/ssh/sshd_config.d/00-lab.conf"
  chroot "$1" pam-auth-update --package --enable mkhomedir </dev/null || true
  # The kernel's audit subsystem has no namespaces: auditd cannot run in here.
  # Units a container has no use for, and timers that would add noise.
  local u
  for u in auditd.service systemd-networkd-wait-online.service apt-daily.timer \
           apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer \
           sssd-nss.socket sssd-pam.socket sssd-pam-priv.socket sssd-sudo.socket; do
    ln -sf /dev/null "$1/etc/systemd/system/$u"
  done
  rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*.log
  : > "$1/etc/machine-id"
  rm -f "$1/etc/resolv.conf" "$1/etc/hostname"; : > "$1/etc/resolv.conf"
}

build() {
  local key dir tmp
  mirror; key=$(image_key); dir=$LAB_CACHE/rootfs-$key
  # Who has an image does not wait for somebody who builds another one.
  [ ! -e "$dir/.complete" ] || { printf '%s\n' "$dir"; return; }
  mkdir -p "$LAB_CACHE"
  exec 9> "$LAB_CACHE/.lock-$key"; flock 9       # two callers never build the same twice
  if [ ! -e "$dir/.complete" ]; then             # hosts share it read-only
    need mmdebstrap
    say "making image $key (about a minute) ..."
    rm -rf "$dir"; tmp=$(mktemp -d "$LAB_CACHE/.build.XXXXXX")
    { declare -f customize; echo 'customize "$1"'; } > "$tmp/hook"
    local sec=() ; local kr=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$kr" ] || die "needs debian-archive-keyring"
    [ "$LAB_SUITE" = sid ] || sec=("deb [signed-by=$kr] ${LAB_MIRROR%/debian}/debian-security $LAB_SUITE-security main")
    if ! mmdebstrap --quiet --variant=apt --format=directory --include="$PKGS" \
        --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --customize-hook="bash $tmp/hook \"\$1\"" \
        "$LAB_SUITE" "$tmp/root" \
        "deb [signed-by=$kr] $LAB_MIRROR $LAB_SUITE main" "${sec[@]}" >"$tmp/log" 2>&1; then
      tail -20 "$tmp/log" >&2; rm -rf "$tmp"; die "image build failed"
    fi
    mv "$tmp/root" "$dir"; touch "$dir/.complete"; rm -rf "$tmp"
  fi
  flock -u 9; exec 9>&-
  printf '%s\n' "$dir"
}

net() {                                          # bridge; the machine is $LAB_NET.1
  ip link show "$BR" >/dev/null 2>&1 || ip link add "$BR" type bridge
  case $(ip -o -4 addr show dev "$BR") in *" $LAB_NET.1/"*) ;; *) ip addr add "$LAB_NET.1/24" dev "$BR" ;; esac
  # Without an address of its own a bridge takes the lowest of its ports: each new host could
  # change it, and the others would send into the void until they ask again.
  ip link set "$BR" address "02:1d:77:00:00:$(printf %02x "$LAB_ID")"; ip link set "$BR" up
}

d() { printf '%s/%s' "$LAB_STATE" "$1"; }
leader() {                                       # PID (outside) of the host's PID 1
  local n; n=$(cat "$(d "$1")/pid" 2>/dev/null) || return 1
  n=$(pgrep -P "$n" 2>/dev/null) && printf '%s\n' "${n%%$'\n'*}"
}
is_up() { leader "$1" >/dev/null; }

next_addr() {                                    # making its folder is the claim, so two callers never agree
  local i; mkdir -p "$LAB_STATE"
  for i in $(seq 2 249); do
    grep -qsx "$LAB_NET.$i" "$LAB_STATE"/*/addr && continue
    mkdir "$LAB_STATE/.addr-$i" 2>/dev/null && { echo "$LAB_NET.$i"; return; }
  done; die "no free address"
}

prepare() {                                      # mounts and network, not booted yet
  local name=$1 addr=${2:-} rootfs dir ns veth idx
  [[ $name =~ ^[a-z][a-z0-9-]{0,30}$ ]] || die "bad host name '$name'"
  dir=$(d "$name"); [ ! -e "$dir/addr" ] || return 0
  [ ! -e "$dir" ] || down "$name"                # left over from a try that failed
  rootfs=$(build); net
  mkdir -p "$dir"; [ -n "$addr" ] || addr=$(next_addr)
  mkdir -p "$dir/rw" "$dir/root"
  mount -t tmpfs -o "size=$LAB_UPPER_SIZE,mode=755" lab "$dir/rw"
  mkdir "$dir/rw/up" "$dir/rw/work"
  mount -t overlay lab -o "lowerdir=${LAB_LAYERS:+$LAB_LAYERS:}$rootfs,upperdir=$dir/rw/up,workdir=$dir/rw/work" "$dir/root"
  idx=${addr##*.}; ns=$BR-$name; veth=${BR}v$idx
  ip netns add "$ns"
  ip link add "$veth" type veth peer name eth0 netns "$ns"
  ip link set "$veth" master "$BR" up
  ip -n "$ns" link set lo up
  ip -n "$ns" addr add "$addr/24" dev eth0; ip -n "$ns" link set eth0 up
  printf '%s\n' "$name" > "$dir/root/etc/hostname"
  { echo '127.0.0.1 localhost'; echo "$addr $name.example.com $name"
    echo "${LAB_SERVER_ADDR:-$LAB_NET.1} $LAB_SERVER_NAMES"; } > "$dir/root/etc/hosts"
  printf '%s\n' "$addr" > "$dir/addr"
}

boot() {
  local name=$1 dir ns l; dir=$(d "$name"); ns=$BR-$name
  is_up "$name" && return 0
  if [ "$LAB_MODE" = systemd ]; then
    need systemd-nspawn systemd-container
    # setsid: the host outlives the shell that started it.
    setsid systemd-nspawn --quiet --boot --register=no --keep-unit \
      --directory="$dir/root" --machine="$ns" --hostname="$name" \
      --network-namespace-path="/run/netns/$ns" --resolv-conf=off --timezone=off \
      --link-journal=no --console=pipe </dev/null >"$dir/console.log" 2>&1 &
    echo $! > "$dir/pid"
  else
    install -m755 "$(plain_init)" "$dir/root/sbin/lab-init"; rm -f "$LAB_STATE/.init"
    setsid ip netns exec "$ns" unshare --mount --uts --ipc --pid --fork --kill-child=KILL --propagation private \
      bash -c 'set -e; hostname "$2"; cd "$1"
               mount -t proc proc proc; mount -t sysfs -o ro sysfs sys
               mount -t tmpfs -o mode=755 dev dev
               for n in null zero full random urandom tty; do touch dev/$n; mount --bind /dev/$n dev/$n; done
               mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
               ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
               ln -s /proc/self/fd/0 dev/stdin; ln -s /proc/self/fd/1 dev/stdout; ln -s /proc/self/fd/2 dev/stderr
               mount -t tmpfs -o mode=755 run run; mount -t tmpfs tmp tmp; mount -t tmpfs shm dev/shm
               pivot_root . mnt; cd /; umount -l /mnt
               exec /sbin/lab-init' lab "$dir/root" "$name" </dev/null >"$dir/console.log" 2>&1 &
    echo $! > "$dir/pid"
  fi
  for _ in $(seq 2400); do                       # it takes a second, but not on a machine that is busy otherwise
    if l=$(leader "$name"); then
      case $LAB_MODE in
        systemd) case $(inside "$name" systemctl is-system-running 2>/dev/null || true) in
                   running|degraded) return 0;; esac ;;
        plain) [ -e "/proc/$l/root/run/lab-ready" ] && return 0 ;;
      esac
    fi
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || break
    sleep 0.1
  done
  tail -20 "$dir/console.log" >&2; die "host $name did not boot"
}

plain_init() {                                   # PID 1 of a host without systemd
  mkdir -p "$LAB_STATE"
  cat > "$LAB_STATE/.init" <<'INIT'
#!/bin/bash
# Minimal init: start what a managed host needs, then reap children for ever.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
mkdir -p /run/sshd /run/lock /run/dbus /run/sudo /run/user
[ -s /etc/machine-id ] || tr -dc a-f0-9 </dev/urandom | head -c32 > /etc/machine-id
dbus-daemon --system --fork 2>/dev/null
rsyslogd 2>/dev/null
/usr/sbin/sshd
cron
[ -e /etc/sssd/sssd.conf ] && sssd -D
touch /run/lab-ready
trap 'exit 0' TERM INT
while :; do sleep 3600 & wait $!; done
INIT
  printf '%s' "$LAB_STATE/.init"
}

inside() {                                       # run in the host's namespaces
  local name=$1 l; shift; l=$(leader "$name") || die "host $name is not up"
  nsenter -t "$l" -m -u -i -n -p -r -w -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root USER=root LOGNAME=root LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
}

put() {
  local dst; dst=$(d "$1")/root$3; [ -e "$(d "$1")/addr" ] || prepare "$1"
  mkdir -p "$(dirname "$dst")"
  if is_up "$1"; then                            # after boot /run and /tmp are mounts inside
    inside "$1" sh -c 'mkdir -p "$(dirname "$1")"; cat > "$1"; [ -z "$2" ] || chmod "$2" "$1"' put "$3" "${4:-}" < "$2"
  else install -m "${4:-644}" "$2" "$dst"; fi
}

off() {                                          # as the power switch does; the disk stays, for boot
  local name=$1 dir ns pid l; dir=$(d "$name"); ns=$BR-$name
  if pid=$(cat "$dir/pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null; then
    if l=$(leader "$name"); then
      if [ -z "${LAB_FAST_DOWN:-}" ] && [ -e "/proc/$l/root/run/systemd/system" ]; then kill -s RTMIN+4 "$l"; else kill -KILL "$l"; fi
    fi
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  fi
}

down() {
  local name=$1 dir ns; dir=$(d "$name"); ns=$BR-$name; [ -d "$dir" ] || return 0
  off "$name"
  ip netns pids "$ns" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
  if [ -e "$dir/addr" ]; then
    ip link del "${BR}v$(sed 's/.*\.//' "$dir/addr")" 2>/dev/null || true
    rmdir "$LAB_STATE/.addr-$(sed 's/.*\.//' "$dir/addr")" 2>/dev/null || true
  fi
  ip netns del "$ns" 2>/dev/null || true
  umount -l "$dir/root" 2>/dev/null || true; umount -l "$dir/rw" 2>/dev/null || true
  rmdir "/run/systemd/nspawn/propagate/$ns" 2>/dev/null || true
  rm -rf --one-file-system "$dir"
}

names() { local f; for f in "$LAB_STATE"/*/addr; do [ -e "$f" ] && basename "$(dirname "$f")"; done; return 0; }
down_all() {
  local n; for n in "$LAB_STATE"/*/; do [ ! -d "$n" ] || down "$(basename "$n")" & done; wait
  # Somebody else's hosts (another LAB_STATE, same LAB_ID) may still hang on the bridge.
  [ -n "$(ip -o link show master "$BR" 2>/dev/null)" ] || ip link del "$BR" 2>/dev/null || true
  rm -rf --one-file-system "$LAB_STATE"
}

cmd=${1:-help}; shift || true
case $cmd in
  build) build ;;
  key) image_key ;;
  net) net ;;
  prepare) prepare "$@" ;;
  up) prepare "$@"; boot "$1" ;;
  exec) inside "$@" ;;
  as) n=$1 u=$2; shift 2; inside "$n" runuser -l "$u" -c "$(printf '%q ' "$@")" ;;
  put) put "$@" ;;
  root) printf '%s/root\n' "$(d "$1")" ;;
  addr) cat "$(d "$1")/addr" ;;
  pid) leader "$1" ;;
  list) names ;;
  off) off "$1" ;;
  down) down "$1" ;;
  down-all) down_all ;;
  purge) down_all; rm -rf --one-file-system "$LAB_CACHE" ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" ;;
esac
