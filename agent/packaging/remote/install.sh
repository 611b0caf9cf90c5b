#!/bin/sh
# Installs identree on this host, enrols it and lets it decide over sudo. As root:
#   install.sh [--key FILE] [--hostname NAME] [--token-file FILE] [--no-setup | [--pam LIST] [--sssd] [--auditd] [--no-confirm]] \
#     https://identree.example.com
# The enrolment token comes from --token-file, from IDENTREE_ENROLMENT_TOKEN or from standard input;
# IDENTREE_SHARED_SECRET takes its place where the server allows that.
# Everything that is fetched is checked with the key below, or with the one of --key or /etc/identree/install.pub.
set -eu
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

# Written by `identree sign-script`.
install_key() {
  cat <<'INSTALL_KEY'
INSTALL_KEY
}

fail() {
  echo "identree: $*" >&2
  exit 1
}

@INIT@

fetch() { # PATH FILE
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --proto '=https' --tlsv1.2 --output "$2" "$server$1"
  else
    wget --quiet --https-only --output-document="$2" "$server$1"
  fi || fail "$server$1 could not be fetched"
}

sum_of() { sha256sum "$1" | cut -d' ' -f1; }

# Who signed FILE is asked before a line of it is believed.
check_signature() { # FILE SIGNATURE
  openssl base64 -d -A -in "$2" -out "$2.raw" 2>/dev/null || fail "$3 has no signature that can be read; nothing is installed"
  openssl pkeyutl -verify -pubin -inkey "$work/key" -rawin -in "$1" -sigfile "$2.raw" >/dev/null 2>&1 ||
    fail "$3 is not signed with the key that this host believes; nothing is installed"
}

# The line of the manifest about the one file whose name matches.
line_of() { # PATTERN
  sed 1,2d "$work/manifest" | grep -E " $1\$" || true
}

check_file() { # FILE LINE
  size=${2#* }
  if [ "$(wc -c < "$1")" != "${size%% *}" ] || [ "$(sum_of "$1")" != "${2%% *}" ]; then
    fail "${2##* } is not what was signed; nothing is installed"
  fi
}

find_key() {
  if [ -n "$key" ]; then
    cp -- "$key" "$work/key" || fail "$key cannot be read"
  elif [ -e /etc/identree/install.pub ]; then
    cp /etc/identree/install.pub "$work/key"
  else
    install_key > "$work/key"
  fi
  [ -s "$work/key" ] || fail 'this script has no key: it was never signed. Nothing is installed'
}

# Whose package this host takes, by what installs it.
find_package() {
  machine=$(uname -m)
  if command -v dpkg >/dev/null; then
    kind=deb
    pattern="identree-agent_[^ ]+_$(dpkg --print-architecture)\\.deb"
  elif command -v rpm >/dev/null; then
    kind=rpm
    pattern="identree-agent-[^ ]+\\.$machine\\.rpm"
  else
    fail 'this host has neither dpkg nor rpm'
  fi
  line=$(line_of "$pattern")
  case $line in
    '') fail "there is no package for this host ($kind, $machine)" ;;
    *'
'*) fail 'there is more than one package for this host' ;;
  esac
  package=${line##* }
}

install_package() {
  if [ "$kind" = rpm ]; then
    rpm --upgrade --replacepkgs --oldpackage "$work/$package"
  elif ! dpkg --force-confold --install "$work/$package" </dev/null; then
    # What it depends on is not there yet. Standard input may hold the token, and belongs to nobody else.
    apt-get install --yes --fix-broken </dev/null || fail 'what the package needs could not be installed'
  fi
}

configure() {
  url=$(sed -n 's/.*"server_url":"\([^"]*\)".*/\1/p' "$work/config")
  case $url in
    https://*) ;;
    *) fail 'the server does not say where hosts reach it' ;;
  esac
  conf=/etc/identree/client.conf
  if [ -e "$conf" ]; then
    grep -qxF "IDENTREE_SERVER_URL=$url" "$conf" || fail "$conf names another server than $url; it is left as it is"
  else
    printf 'IDENTREE_SERVER_URL=%s\n' "$url" > "$conf"
  fi
  # The next time, this host believes the same key.
  [ -e /etc/identree/install.pub ] || install -m 0644 "$work/key" /etc/identree/install.pub
}

enrol() {
  if [ -e /var/lib/identree/identity.json ]; then
    echo 'This host is enrolled already.'
    return
  fi
  [ -n "$name" ] || name=$(hostname --fqdn 2>/dev/null || hostname)
  if [ -n "$token_file" ]; then
    identree enroll --hostname "$name" --token-file "$token_file"
  elif [ -n "$token" ]; then
    # Through a pipe of the shell's own: an argument can be read in the `ps` of every account.
    printf '%s\n' "$token" | identree enroll --hostname "$name"
  elif [ -n "$secret" ]; then
    printf '%s' "$secret" > "$work/secret"
    identree enroll --hostname "$name" --secret-file "$work/secret"
  else
    identree enroll --hostname "$name"
  fi || fail 'this host could not be enrolled. Run this again with a new token; nothing has changed for sudo'
}

switch_on() {
  health=/var/lib/identree/health.json
  # What it says is to be what the server says now.
  rm -f "$health"
  /usr/lib/identree/service restart
  if [ -n "$no_setup" ]; then
    echo "identree is installed. sudo is as it was; switch it on with: identree setup --pam sudo,sudo-i"
    return
  fi
  # What the server says of this host stands there as soon as the agent has spoken to it.
  for _ in $(seq 60); do
    [ -e "$health" ] && break
    sleep 1
  done
  if [ -n "$secret" ] && ! grep -qs '"hostState": *"active"' "$health"; then
    echo 'sudo is as it was: an operator confirms this host in the console first. Then run this again, or:'
    echo "  identree setup --pam $pam$more"
    return
  fi
  identree setup --pam "$pam" $more ||
    fail "identree is installed and sudo is as it was. When the above is mended: identree setup --pam $pam$more"
}

main() {
  server='' key='' name='' token_file='' pam='' more='' no_setup=''
  token=${IDENTREE_ENROLMENT_TOKEN:-}
  secret=${IDENTREE_SHARED_SECRET:-}
  # No program that is started from here inherits them.
  unset IDENTREE_ENROLMENT_TOKEN IDENTREE_SHARED_SECRET
  while [ $# -gt 0 ]; do
    case $1 in
      --no-setup) no_setup=yes ;;
      --sssd | --auditd | --no-confirm) more="$more $1" ;;
      --key | --hostname | --token-file | --pam)
        [ -n "${2:-}" ] || fail "$1 needs a value"
        case $1 in
          --key) key=$2 ;;
          --hostname) name=$2 ;;
          --token-file) token_file=$2 ;;
          --pam) pam=$2 ;;
        esac
        shift
        ;;
      https://*) server=${1%/} ;;
      *) fail "\"$1\" is not understood. An address begins with https://; the first lines of this script say the rest" ;;
    esac
    shift
  done
  setup="${pam:+ --pam}$more"
  [ -z "$no_setup" ] || [ -z "$setup" ] || fail "${setup# }: not with --no-setup"
  pam=${pam:-sudo,sudo-i}
  [ -n "$server" ] || fail 'say which server: install.sh https://identree.example.com'
  [ "$(id -u)" = 0 ] || fail 'this needs root'
  [ "$(init)" != none ] || fail 'this host runs neither systemd nor cron, one of which has to start the agent again'
  command -v openssl >/dev/null || fail 'this host needs openssl, to check what it fetches'
  openssl version | grep -q '^OpenSSL [3-9]' || fail 'this host needs OpenSSL 3 or later, to check what it fetches'
  command -v curl >/dev/null || command -v wget >/dev/null || fail 'this host needs curl or wget'

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  find_key
  fetch /download/manifest "$work/manifest"
  fetch /download/manifest.sig "$work/manifest.sig"
  check_signature "$work/manifest" "$work/manifest.sig" 'The manifest of the server'
  [ "$(head -n 1 "$work/manifest")" = 'identree release 1' ] || fail 'this script does not know manifests like the one of the server'
  # A script that is read from a pipe cannot look at itself.
  if [ -f "$0" ] && [ "$(sed -n '$p' "$0")" = 'main "$@"' ]; then check_file "$0" "$(line_of install.sh)"; fi
  find_package
  fetch "/download/$package" "$work/$package"
  check_file "$work/$package" "$line"
  fetch /install-config.json "$work/config"

  echo "Installing $package from $server"
  install_package
  configure
  enrol
  switch_on
}

# At the very end: of a script that was cut off on the way, nothing is run.
main "$@"
