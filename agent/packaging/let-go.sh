# A sudo.conf that names a plugin which is not there refuses every sudo, and a PAM stack every login.
let_go() {
  if [ -e /var/lib/identree/backup/originals.json ]; then
    /usr/bin/identree setup --undo || true
  fi
  named=$(grep -ls /usr/lib/identree/ /etc/sudo.conf /etc/pam.d/* || true)
  [ -n "$named" ] || return 0
  echo "identree stays: it is still named in" $named >&2
  echo 'Take its lines out of these files (identree setup --undo could not), then remove the package again.' >&2
  return 1
}
