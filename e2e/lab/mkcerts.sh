#!/usr/bin/env bash
# mkcerts.sh DIR SERVER_NAME SERVER_IP HOST... - a throw-away CA, one server
# certificate (also good for localhost) and one client certificate per host, all EC P-256.
set -euo pipefail
dir=$1 name=$2 ip=$3; shift 3; mkdir -p "$dir"; cd "$dir"; umask 077
[ -s ca.key ] || { openssl ecparam -name prime256v1 -genkey -noout -out ca.key
  openssl req -x509 -new -key ca.key -sha256 -days 30 -subj '/CN=lab CA' -out ca.crt \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign; }
issue() {                                        # file cn eku san
  [ -s "$1.crt" ] && return 0
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=$2" | openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial \
    -sha256 -days "${CERT_DAYS:-30}" -out "$1.crt" \
    -extfile <(printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$3" "$4") 2>/dev/null
}
issue server "$name" serverAuth "DNS:$name,IP:$ip,DNS:localhost,IP:127.0.0.1"
for h in "$@"; do issue "client-$h" "$h" clientAuth "DNS:$h"; done
chmod 644 ./*.crt
